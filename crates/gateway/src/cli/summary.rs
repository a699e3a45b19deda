//! A configuration in lines for a person. Nothing secret is in them: neither secrets, nor the
//! arguments and header values of servers, which may hold some.

use std::fmt::Write as _;

use portunus_core::{
    access::{AccessRule, Mode, Policy},
    admission::{Allow, DomainOf, Organisation},
    oauth::registration_policy::Domain,
    pins::Pinning,
    scope::Scope,
    settings::quantity::show_duration,
    text::visible,
};
use portunus_identity::settings::Preset;
use portunus_mcp::{
    sandbox::{Confine, Sandbox},
    spec::{Isolation, ServerSpec, Transport},
};
use url::Url;

use super::rules_told::{OPEN, conditions};
use crate::{
    config::{
        ClientsConfig, ClusterConfig, Config, Limits, LogFormat, Names, ProviderConfig, Rate,
        StoreConfig,
    },
    groups,
};

/// The whole configuration.
pub fn summary(config: &Config) -> String {
    let mut text = String::new();
    general(config, &mut text);
    providers(config, &mut text);
    clients(&config.clients, &mut text);
    servers(config, &mut text);
    proxies(config, &mut text);
    scopes(config, &mut text);
    access(&config.access, &mut text);
    text
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "  {name:<18}{value}");
}

/// Where other gateways on the same store reach this one.
fn reached_by_nodes(cluster: &ClusterConfig) -> String {
    match (&cluster.listen, &cluster.url) {
        (None, None) => "any free port, at the address that the store is reached from".to_owned(),
        (Some(listen), None) => format!("on {listen}"),
        (None, Some(url)) => format!("as {url}"),
        (Some(listen), Some(url)) => format!("on {listen}, as {url}"),
    }
}

// long: one line of the summary after the other.
fn general(config: &Config, text: &mut String) {
    text.push_str("Gateway\n");
    line(text, "public URL", &config.public_url);
    line(text, "listens on", config.listen);
    let own = config.tls.as_ref().map(|tls| format!("with {}", tls.certificate_file.display()));
    line(
        text,
        "TLS",
        own.unwrap_or_else(|| "none of its own: something in front of it ends TLS".to_owned()),
    );
    line(text, "production", if config.production { "yes (NODE_ENV=production)" } else { "no" });
    let secrets = match config.auth_secrets.len() {
        0 => "not set".to_owned(),
        1 => "[redacted]".to_owned(),
        more => format!("[redacted], and {} before it", more - 1),
    };
    line(text, "auth secret", secrets);
    match &config.store {
        StoreConfig::Sqlite { path } => {
            line(text, "store", format_args!("SQLite, {}", path.display()));
        }
        StoreConfig::Redis(redis) => {
            line(text, "store", format_args!("Redis, {}", redis.address));
            line(text, "other nodes", reached_by_nodes(&config.cluster));
        }
    }
    let lifetimes = &config.lifetimes;
    let mut named = vec![
        ("access token", lifetimes.access_token),
        ("refresh token", lifetimes.refresh_token),
        ("refresh grace", lifetimes.refresh_grace),
        ("grant", lifetimes.grant),
        ("code", lifetimes.authorization_code),
        ("sign-in", lifetimes.sign_in),
        ("login", lifetimes.login),
        ("unused client", lifetimes.unused_client),
    ];
    named.extend(lifetimes.refresh_reuse.map(|reuse| ("refresh reuse", reuse)));
    named.extend(lifetimes.login_idle.map(|idle| ("unused login", idle)));
    let shown: Vec<String> =
        named.iter().map(|(name, value)| format!("{name} {}", show_duration(*value))).collect();
    line(text, "lifetimes", shown.join(", "));
    line(text, "stop delay", show_duration(config.stop_delay));
    line(
        text,
        "names on /mcp",
        if config.names == Names::Plain { "plain" } else { "prefixed: {server}_{name}" },
    );
    line(text, "allowed origins", list(config.allowed_origins.iter(), "our own"));
    line(text, "allowed hosts", list(config.allowed_hosts.iter(), config.public_url.authority()));
    line(text, "trusted proxies", list(config.trusted_proxies.iter(), "none"));
    let format = if config.log.format == LogFormat::Json { "JSON lines" } else { "text" };
    line(text, "log", format_args!("{}, {format}", config.log.level));
    let rate =
        |rate: Option<Rate>| rate.map_or_else(|| "unlimited".to_owned(), |rate| rate.to_string());
    let limits = [
        ("registration", config.limits.registration),
        ("authorize", config.limits.authorize),
        ("token", config.limits.token),
        ("token of one client", config.limits.token_client),
        ("failures", config.limits.failures),
    ];
    let limits: Vec<String> =
        limits.iter().map(|(name, limit)| format!("{name} {}", rate(*limit))).collect();
    line(text, "limits by address", limits.join(", "));
    let Limits {
        connections_per_address,
        connections_per_user,
        requests_per_address,
        requests_per_user,
        ..
    } = config.limits;
    let at_once = format!(
        "{connections_per_address} connections, {requests_per_address} requests of one address"
    );
    line(
        text,
        "at once",
        format_args!("{at_once}; {connections_per_user} and {requests_per_user} of one person"),
    );
    line(text, "largest body", format_args!("{} bytes", config.limits.body));
    line(
        text,
        "calls",
        format_args!("{} of one person at work, at most", config.limits.calls_per_user),
    );
    line(
        text,
        "processes",
        format_args!("{} of one person, at most", config.limits.children_per_user),
    );
}

fn list(items: impl Iterator<Item = impl ToString>, none: &str) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

fn providers(config: &Config, text: &mut String) {
    text.push_str("\nSign-in\n");
    if config.providers.is_empty() {
        text.push_str("  no identity provider\n");
    }
    for ProviderConfig { settings, label, allow } in &config.providers {
        let label =
            label.as_ref().map_or_else(String::new, |label| format!(", shown as {label:?}"));
        let _ = writeln!(text, "  {} ({}{label})", settings.name, preset(settings.preset));
        line(text, "  issuer", &settings.issuer);
        if let Some(internal) = &settings.internal_url {
            line(text, "  reached at", internal.origin().ascii_serialization());
        }
        line(text, "  client ID", &settings.client_id);
        line(
            text,
            "  client secret",
            if settings.client_secret.is_some() { "[redacted]" } else { "none: a public client" },
        );
        if let Some(scopes) = &settings.scopes {
            line(text, "  scopes", scopes.join(" "));
        }
        if let Some(claim) = &settings.groups_claim {
            line(text, "  groups claim", claim);
        }
        line(text, "  groups", groups::told(settings, &config.lifetimes));
        admitted(allow, text);
        let callback = config.public_url.at(&format!("/auth/callback/{}", settings.name));
        text.push_str("    register there, letter for letter:\n");
        line(text, "    sign-in", settings.redirect_uri.as_ref().unwrap_or(&callback));
        line(text, "    sign-out", config.public_url.at("/auth/signout"));
    }
}

/// Who may sign in there.
fn admitted(allow: &Allow, text: &mut String) {
    let rule = match allow {
        Allow::Anyone => return line(text, "  admits", "every account that can sign in there"),
        Allow::Only(rule) => rule,
    };
    let by = match rule.domain_of {
        DomainOf::VerifiedEmail => "domains of verified e-mail addresses",
        DomainOf::HostedDomain => "hosted domains (hd)",
    };
    let lists = [
        (by, list(rule.domains.iter(), "")),
        ("groups", list(rule.groups.iter(), "")),
        ("organisations", list(rule.organisations.iter().map(Organisation::as_str), "")),
        ("people", list(rule.people.iter(), "")),
    ];
    for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        line(text, "  admits", format_args!("{name}: {list}"));
    }
}

const fn preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Okta => "Okta",
        Preset::Google => "Google",
        Preset::MicrosoftEntraId => "Microsoft Entra ID",
        Preset::Auth0 => "Auth0",
        Preset::Keycloak => "Keycloak",
        Preset::Github => "GitHub",
        Preset::Gitlab => "GitLab",
        Preset::Oidc => "OpenID Connect",
    }
}

fn clients(
    ClientsConfig { registration_policy, max_unused, configured, proxy }: &ClientsConfig,
    text: &mut String,
) {
    text.push_str("\nClients\n");
    let on = |switch: bool| if switch { "on" } else { "off" };
    line(
        text,
        "registration",
        format_args!(
            "{}; {max_unused} that were never used, at most",
            on(registration_policy.registration)
        ),
    );
    let through = if proxy.is_some() { "; fetched through a proxy" } else { "" };
    let domains = list(registration_policy.domains.iter().map(Domain::as_str), "anybody's");
    line(
        text,
        "documents",
        format_args!("{}; of {domains}{through}", on(registration_policy.metadata_documents)),
    );
    for family in &registration_policy.families {
        let switch = |name, value: Option<bool>| value.map(|value| format!("{name} {}", on(value)));
        let switches = [
            switch("registration", family.registration),
            switch("documents", family.metadata_documents),
        ];
        line(text, &family.name, switches.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    for client in configured {
        let grants = list(client.grant_types.iter().map(|grant| grant.as_str()), "nothing");
        let trusted = if client.trusted { "; trusted" } else { "" };
        line(
            text,
            client.id.as_str(),
            format_args!(
                "{}; {}; {grants}{trusted}",
                visible(client.display_name()),
                client.auth_method.as_str()
            ),
        );
        for uri in &client.redirect_uris {
            line(text, "", format_args!("back to {uri}"));
        }
        if !client.groups.is_empty() {
            line(text, "", format_args!("groups: {}", client.groups.join(", ")));
        }
    }
}

fn servers(config: &Config, text: &mut String) {
    text.push_str("\nServers (mcp.json)\n");
    if config.servers.is_empty() {
        text.push_str("  none\n");
    } else {
        line(text, "all together", config.public_url.at("/mcp"));
    }
    for server in &config.servers {
        line(text, server.name.as_str(), config.public_url.at(&format!("/mcp/{}", server.name)));
        line(text, "", reached(server));
        match config.pinning.of(&server.name) {
            Pinning::Enforce => {}
            Pinning::Warn => {
                line(text, "", "tools that change are passed on, with a warning in the log");
            }
            Pinning::Off => line(text, "", "tools may change unnoticed"),
        }
    }
    for name in &config.disabled_servers {
        line(text, name, "disabled");
    }
}

fn reached(server: &ServerSpec) -> String {
    let shared = match server.isolation {
        Isolation::Shared => "shared by everybody",
        Isolation::User => "one for each user",
        Isolation::Session => "one for each session",
    };
    match &server.transport {
        Transport::Stdio { command, args, env, sandbox, .. } => {
            let variables = list(env.keys(), "none");
            let restricted = restricted(sandbox);
            format!(
                "stdio: {command} with {} arguments; variables: {variables}; {shared}{restricted}",
                args.len()
            )
        }
        Transport::Http { url, headers } => {
            format!("http: {}; {} headers; {shared}", shown(url), headers.len())
        }
        Transport::Sse { url, headers } => {
            format!("sse: {}; {} headers; {shared}", shown(url), headers.len())
        }
    }
}

fn restricted(sandbox: &Sandbox) -> String {
    let mut text = String::new();
    if let Some(user) = &sandbox.run_as {
        let _ = write!(text, "; runs as {} (uid {}, gid {})", user.name, user.uid, user.gid);
    }
    if let Some(Confine { read, write, connect, .. }) = &sandbox.confine {
        let _ = write!(
            text,
            "; confined: reads {}, writes {}",
            list(read.iter(), "nothing"),
            list(write.iter(), "nothing")
        );
        let _ = match connect {
            Some(ports) => {
                write!(text, ", connects to {}", list(ports.iter().map(u16::to_string), "nothing"))
            }
            None => write!(text, ", connects anywhere"),
        };
    }
    text
}

/// A URL without its query, which may hold a key.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    if url.query().is_some() { format!("{shown}?[redacted]") } else { shown.to_string() }
}

fn scopes(config: &Config, text: &mut String) {
    if !config.scopes.is_empty() {
        text.push_str("\nScopes\n");
    }
    for rule in &config.scopes {
        let _ = writeln!(
            text,
            "  {}{}",
            rule.name.as_str(),
            if rule.ask_first { " (asked for first)" } else { "" }
        );
        line(text, "  in words", &rule.description);
        if let Some(server) = &rule.server {
            line(text, "  server", server);
        }
        let lists = [
            ("  tools", &rule.tools),
            ("  prompts", &rule.prompts),
            ("  resources", &rule.resources),
        ];
        for (name, patterns) in lists.into_iter().filter(|(_, patterns)| !patterns.is_empty()) {
            line(text, name, list(patterns.iter(), ""));
        }
        if !rule.includes.is_empty() {
            line(text, "  includes", list(rule.includes.iter().map(Scope::as_str), ""));
        }
    }
}

/// Who may use what.
fn access(policy: &Policy, text: &mut String) {
    text.push_str("\nAccess\n");
    if policy.is_empty() {
        let _ = writeln!(text, "  {OPEN}");
        return;
    }
    if policy.is_open() {
        text.push_str(
            "  every person who signs in may use every server: all rules are in shadow\n",
        );
    }
    for AccessRule { name, place, effect, mode, who, what, when } in policy.rules() {
        let mode = if *mode == Mode::Shadow { ", in shadow: nothing is refused by it" } else { "" };
        let _ = writeln!(text, "  {effect} {who}{mode}");
        line(text, "  rule", format_args!("{}, {place}", visible(name)));
        line(text, "  servers", list(what.servers.iter(), "all"));
        let lists = [
            ("  tools", &what.tools),
            ("  prompts", &what.prompts),
            ("  resources", &what.resources),
        ];
        for (name, patterns) in lists.into_iter().filter(|(_, patterns)| !patterns.is_empty()) {
            line(text, name, list(patterns.iter(), ""));
        }
        match what.read_only {
            Some(true) => line(text, "  tools that", "say that they only read"),
            Some(false) => line(text, "  tools that", "do not say that they only read"),
            None => {}
        }
        for (hint, wanted) in &what.hints()[1..] {
            if let Some(wanted) = wanted {
                line(text, "  tools that are", format_args!("{hint}: {wanted}"));
            }
        }
        let conditions = conditions(when, *effect);
        if !conditions.is_empty() {
            line(text, "  if", visible(&conditions));
        }
    }
    for file in policy.files() {
        line(text, "policy file", &file.path);
    }
}

fn proxies(config: &Config, text: &mut String) {
    text.push_str("\nProxies (config.yaml)\n");
    if config.proxies.is_empty() {
        text.push_str("  none\n");
    }
    for route in &config.proxies {
        line(text, &route.pattern, config.public_url.at(&route.pattern));
        line(text, "", format_args!("to {}", route.target.as_str().trim_end_matches('/')));
    }
}
