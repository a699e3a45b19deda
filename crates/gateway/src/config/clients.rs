//! Section: OAuth clients: how they may come to be, and those that stand in the configuration. One
//! of the latter is read in [`super::client`].

use portunus_core::{
    client::Client,
    oauth::registration_policy::{Domain, Family, RegistrationPolicy},
    redirect::{Schemes, is_scheme},
    secret::SecretText,
    settings,
    settings::{FLAG, Section, Setting, Settings as _, ValueType, count},
};
use url::Url;

use super::{
    client::{CONFIGURED, resolve_one},
    document::Item,
    inputs::{Inputs, Written, written},
    members::{flag, texts},
    mistake::Report,
};

pub(super) const CLIENTS: Setting = Setting::new(
    "clients",
    ValueType::Section(&SECTION),
    "OAuth clients: how they may come to be, and those known beforehand",
);

const SECTION: Section = Section::new(
    "OAuth clients",
    &[
        Setting::new(
            "registration",
            ValueType::Section(&Registration::SECTION),
            "Clients that register themselves (RFC 7591)",
        ),
        Setting::new(
            "metadata_documents",
            ValueType::Section(&MetadataDocuments::SECTION),
            "Clients whose id is the URL of a document that describes them",
        ),
        Setting::new(
            "redirect_schemes",
            ValueType::Section(&REDIRECT_SCHEMES),
            "Private-use schemes at which clients may be answered, beside those with a dot and those of well-known applications",
        ),
        Setting::new(
            "families",
            ValueType::List(&ValueType::Section(&FAMILY)),
            "Kinds of clients with switches of their own",
        ),
        Setting::new(
            "configured",
            ValueType::List(&ValueType::Section(&CONFIGURED)),
            "Clients known beforehand; they are never stored",
        ),
    ],
);

settings! {
    struct Registration: "Clients that register themselves (RFC 7591)" {
        enabled: bool = "true", FLAG, "May clients register?",
            details("If not, the endpoint answers 403. Those that are registered stay, until `portunus clients remove`");
        /// Clients that register themselves and never redeem a code, at most (threat 25).
        max_unused: u64 = "10000",
            count::<u64>().expected("a whole number, 1 at least; `enabled: false` switches registration off"),
            "Registered clients that were never used, at most: one more drives out the oldest of the address that has most",
            details("They are deleted after `unused_client` of `lifetimes`");
    }
}

settings! {
    struct MetadataDocuments: "Clients whose id is the URL of a document that describes them" {
        enabled: bool = "true", FLAG, "Are such clients accepted?";
        key domains: ValueType::List(&ValueType::Text),
            "Whose documents: app.example, or *.app.example for every host below it",
            default("anybody's");
        key proxy: ValueType::Secret,
            "An HTTP proxy for fetching documents and key sets, http://host:port, where this gateway has no direct way to the Internet",
            default("none"), variables(&["METADATA_DOCUMENTS_PROXY"]);
    }
}

const REDIRECT_SCHEMES: Section = Section::new(
    "Schemes of redirect URIs",
    &[
        Setting::new("add", ValueType::List(&ValueType::Text), "Allowed too, such as acme-editor"),
        Setting::new(
            "remove",
            ValueType::List(&ValueType::Text),
            "Not allowed, known or not; of clients that have registered them, too",
        )
        .details("Counts at once ([decision 9](decisions/0009-private-use-schemes.md))"),
    ],
);

const FAMILY: Section = Section::new(
    "Clients that belong together. One that is kept out is known by any of the marks, one that is let in by all of them",
    &[
        Setting::new("name", ValueType::Text, "What to call the family in messages").required(),
        Setting::new(
            "client_name",
            ValueType::Text,
            "How the names of its clients start, in any case of letters",
        ),
        Setting::new(
            "redirect_schemes",
            ValueType::List(&ValueType::Text),
            "Schemes of their redirect URIs, such as cursor",
        ),
        Setting::new(
            "redirect_hosts",
            ValueType::List(&ValueType::Text),
            "Hosts of their https redirect URIs, such as claude.ai",
        )
        .details("No other scheme has a host that says whose it is"),
        Setting::new("registration", ValueType::Flag, "May they register?").default("as everybody"),
        Setting::new("metadata_documents", ValueType::Flag, "Are their documents accepted?")
            .default("as everybody's"),
    ],
);

/// OAuth clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientsConfig {
    pub registration_policy: RegistrationPolicy,
    /// Registered clients that never redeemed a code, at most.
    pub max_unused: u64,
    /// Ids unique. Never stored.
    pub configured: Vec<Client>,
    /// The URL of the HTTP proxy through which documents and key sets are fetched; it may hold a
    /// password.
    pub proxy: Option<SecretText>,
}

impl Default for ClientsConfig {
    fn default() -> Self {
        Self {
            registration_policy: RegistrationPolicy::default(),
            max_unused: Registration::default().max_unused,
            configured: Vec::new(),
            proxy: None,
        }
    }
}

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> ClientsConfig {
    let root = inputs.config.root();
    let mut clients = ClientsConfig::default();
    let registration_policy = &mut clients.registration_policy;
    let mut registration = Registration::default();
    registration.read(&mut inputs.section("clients.registration", report));
    registration_policy.registration = registration.enabled;
    clients.max_unused = registration.max_unused;
    let mut documents = MetadataDocuments::default();
    documents.read(&mut inputs.section("clients.metadata_documents", report));
    registration_policy.metadata_documents = documents.enabled;
    registration_policy.domains = root
        .find_path("clients.metadata_documents")
        .map(|documents| texts(&documents, "domains"))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|text| domain(text, report))
        .collect();
    clients.proxy = proxy(inputs, report);
    if let Some(schemes) = root.find_path("clients.redirect_schemes") {
        change_schemes(&mut registration_policy.redirect_schemes, &schemes, report);
    }
    let list = |name: &str| root.find_path(name).map(|list| list.items()).unwrap_or_default();
    registration_policy.families =
        list("clients.families").iter().filter_map(|item| family(item, report)).collect();
    for item in list("clients.configured") {
        let Some((client, at)) = resolve_one(inputs, &item, report) else { continue };
        if clients.configured.iter().any(|earlier| earlier.id == client.id) {
            report.mistake(
                at,
                format!("`{}` a second time", client.id),
                "another client_id for each client",
            );
        } else {
            clients.configured.push(client);
        }
    }
    clients
}

fn proxy(inputs: &Inputs<'_>, report: &mut Report) -> Option<SecretText> {
    let Written { text, at, .. } = inputs
        .setting("clients.metadata_documents.proxy", report)
        .filter(|written| !written.text.is_empty())?;
    let is_proxy = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
    };
    if !Url::parse(&text).is_ok_and(|url| is_proxy(&url)) {
        // It may hold a password.
        report.mistake(
            at,
            "no URL of a proxy",
            "an HTTP proxy as http://host:port, with user:password@ before the host if it wants them",
        );
        return None;
    }
    Some(SecretText::new(text))
}

fn domain(Written { text, at, .. }: Written, report: &mut Report) -> Option<Domain> {
    let parsed = Domain::parse(&text);
    if let Err(bad) = parsed {
        report.mistake(at, format!("`{text}`"), bad.to_string());
        return None;
    }
    parsed.ok()
}

fn family(item: &Item<'_>, report: &mut Report) -> Option<Family> {
    let name = written(item.find("name"))?.text;
    let words =
        |key: &str| texts(item, key).into_iter().map(|written| written.text).collect::<Vec<_>>();
    let family = Family {
        name,
        client_name: written(item.find("client_name"))
            .map(|written| written.text)
            .filter(|prefix| !prefix.is_empty()),
        redirect_schemes: words("redirect_schemes"),
        redirect_hosts: words("redirect_hosts"),
        registration: flag(item, "registration"),
        metadata_documents: flag(item, "metadata_documents"),
    };
    for written in texts(item, "redirect_schemes") {
        check_scheme(written, report);
    }
    for written in texts(item, "redirect_hosts") {
        check_host(written, report);
    }
    if family.client_name.is_none()
        && family.redirect_schemes.is_empty()
        && family.redirect_hosts.is_empty()
    {
        let expected =
            "something to know them by: `client_name`, `redirect_schemes` or `redirect_hosts`";
        report.mistake(item.at(), "a family that no client is of", expected);
    } else if family.registration.is_none() && family.metadata_documents.is_none() {
        report.mistake(
            item.at(),
            "a family without a switch",
            "`registration` or `metadata_documents`: true or false",
        );
    }
    Some(family)
}

fn change_schemes(schemes: &mut Schemes, item: &Item<'_>, report: &mut Report) {
    for Written { text, at, .. } in texts(item, "add") {
        if let Err(bad) = schemes.add(&text) {
            report.mistake(at, format!("`{text}`"), bad.to_string());
        }
    }
    for Written { text, at, .. } in texts(item, "remove") {
        if let Err(bad) = schemes.remove(&text) {
            report.mistake(at, format!("`{text}`"), bad.to_string());
        }
    }
}

fn check_scheme(Written { text, at, .. }: Written, report: &mut Report) {
    if !is_scheme(&text) {
        report.mistake(
            at,
            format!("`{text}`"),
            "a scheme in small letters and without `://`, such as cursor or com.example.app",
        );
    }
}

fn check_host(Written { text, at, .. }: Written, report: &mut Report) {
    let is_host = !text.is_empty()
        && !text.contains(['/', '@', '*', ' '])
        && text == text.to_ascii_lowercase();
    if !is_host {
        report.mistake(
            at,
            format!("`{text}`"),
            "a host in small letters, such as claude.ai: no URL, no wildcard",
        );
    } else if matches!(text.as_str(), "localhost" | "127.0.0.1" | "[::1]") {
        let expected = "a host of https addresses: every program on a person's computer may be at this one; use `client_name`";
        report.mistake(at, format!("`{text}`"), expected);
    }
}
