//! Where the public can have an account: identity providers by their issuers, and domains of
//! mailboxes. Neither list can be complete: a tenant of a company may let people sign up too, which
//! its issuer does not show.

use url::Url;

use super::domain::Domain;

/// Issuers by host, with what people call them. A host below one of these counts too.
const ISSUERS: &[(&str, &str)] = &[
    ("accounts.google.com", "Google"),
    ("github.com", "GitHub"),
    ("gitlab.com", "GitLab.com"),
    ("login.live.com", "Microsoft"),
    ("appleid.apple.com", "Apple"),
    ("bitbucket.org", "Bitbucket"),
    ("codeberg.org", "Codeberg"),
    ("gitea.com", "Gitea"),
    ("discord.com", "Discord"),
    ("facebook.com", "Facebook"),
    ("kauth.kakao.com", "Kakao"),
    ("access.line.me", "LINE"),
    ("linkedin.com", "LinkedIn"),
    ("login.salesforce.com", "Salesforce"),
    ("login.yahoo.com", "Yahoo"),
    ("orcid.org", "ORCID"),
    ("paypal.com", "PayPal"),
    ("slack.com", "Slack"),
    ("id.twitch.tv", "Twitch"),
];

/// Microsoft's hosts, national clouds too. Whose accounts they take, the first part of the path
/// says.
const MICROSOFT: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
];

/// Tenants that are no company's: all of them, all companies, and personal accounts by name, by
/// number, and by the domains of their mailboxes.
const SHARED_TENANTS: &[&str] = &[
    "common",
    "organizations",
    "consumers",
    "9188040d-6c67-4c5b-b112-36a304b66dad",
    "live.com",
    "outlook.com",
    "hotmail.com",
    "msn.com",
];

/// Domains at which the public can have a mailbox.
const MAILBOXES: &[&str] = &[
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "msn.com",
    "yahoo.com",
    "ymail.com",
    "aol.com",
    "icloud.com",
    "me.com",
    "mac.com",
    "proton.me",
    "protonmail.com",
    "pm.me",
    "fastmail.com",
    "hey.com",
    "zoho.com",
    "mail.com",
    "gmx.com",
    "gmx.net",
    "gmx.de",
    "web.de",
    "t-online.de",
    "orange.fr",
    "laposte.net",
    "libero.it",
    "mail.ru",
    "yandex.ru",
    "yandex.com",
    "qq.com",
    "163.com",
    "126.com",
    "sina.com",
    "naver.com",
    "hanmail.net",
    "users.noreply.github.com",
];

/// What people call the provider with this issuer, if the public can have an account there.
pub fn open_to_anyone(issuer: &str) -> Option<&'static str> {
    let url = Url::parse(issuer).ok()?;
    let host = url.host_str()?.trim_end_matches('.');
    let is_at = |domain: &str| {
        host == domain || host.strip_suffix(domain).is_some_and(|below| below.ends_with('.'))
    };
    if MICROSOFT.iter().any(|microsoft| is_at(microsoft)) {
        let tenant = url
            .path_segments()
            .and_then(|mut segments| segments.next())
            .unwrap_or_default()
            .to_ascii_lowercase();
        // Placeholders, as metadata of shared tenants has them, arrive percent-encoded.
        let is_shared = tenant.is_empty()
            || tenant.contains("%7b")
            || SHARED_TENANTS.contains(&tenant.as_str());
        return is_shared.then_some("Microsoft");
    }
    ISSUERS.iter().find(|(domain, _)| is_at(domain)).map(|(_, name)| *name)
}

/// Can the public have a mailbox there? Then the domain names no company.
pub fn takes_addresses_of_anyone(domain: &Domain) -> bool {
    MAILBOXES.contains(&domain.as_str())
}
