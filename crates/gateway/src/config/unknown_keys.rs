//! What is probably not meant: variables that look like ours and are not, a gateway with nothing
//! behind it.

use portunus_core::settings::{Section, ValueType};

use super::{
    inputs::{ALLOW_WRITABLE_FILES, Inputs},
    mistake::{Report, Where},
    provider,
    provider_name::PRESETS,
    settings::{CONFIG, Config},
    suggest::nearest,
};

/// Variables that are read beside those that settings declare and those of providers.
const OTHERS: [&str; 9] = [
    "ALLOW_WRITABLE_FILES",
    "AUTH_PROVIDER",
    "DEBUG",
    "HOST",
    "KVS_ADDR",
    "LOG_ENV",
    "NODE_ENV",
    "PORT",
    "TOKEN_EXPIRATION_TIME",
];
/// Variables of Auth.js that need no counterpart here.
const NOT_NEEDED: [&str; 3] = ["AUTH_URL", "AUTH_TRUST_HOST", "AUTH_REDIRECT_PROXY_URL"];

/// Adds its warnings to the report.
pub(super) fn warn(inputs: &Inputs<'_>, config: &Config, report: &mut Report) {
    let known = known_variables(config);
    let is_ours = |name: &str| {
        ["AUTH_", "OKTA_", "OAUTH_OKTA_", "KVS_", "TOKEN_EXPIRATION"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let mut unread = Vec::new();
    for (name, variable) in inputs.env.iter() {
        let is_of_file = matches!(variable.at, Where::File { .. });
        let is_read = known.iter().any(|known| known == name)
            || NOT_NEEDED.contains(&name)
            || inputs.env.was_referred_to(name);
        let guess = || {
            meant(name, &known)
                .or_else(|| nearest(name, known.iter().map(String::as_str)).map(str::to_owned))
        };
        match (!is_read && (is_ours(name) || is_of_file)).then(guess) {
            Some(Some(guess)) => report.not_read(variable.at.clone(), name, &guess),
            Some(None) if is_of_file => unread.push((name, &variable.at)),
            _ => {}
        }
        if is_quoted(&variable.text) && known.iter().any(|known| known == name) {
            let text = format!(
                "the value of {name} has quotes around it, as part of it: `docker --env-file` and others take them literally. Take them out"
            );
            report.warning(variable.at.clone(), text);
        }
        if is_of_file && has_reference(&variable.text) {
            let text = format!(
                "the value of {name} is taken as it is written: `${{…}}` is filled in in mcp.json and config.yaml, and not here"
            );
            report.warning(variable.at.clone(), text);
        }
    }
    if let Some((_, at)) = unread.first() {
        let names: Vec<&str> = unread.iter().map(|(name, _)| *name).collect();
        let text = format!(
            "nothing reads {}: neither settings of the gateway nor referred to by mcp.json or config.yaml (`${{NAME}}`), and servers do not get them",
            names.join(", ")
        );
        report.warning((*at).clone(), text);
    }
    if config.listen.port() == 443 && config.tls.is_none() && config.public_url.is_https() {
        let text = "the gateway speaks plain HTTP on port 443, though its public URL is https: browsers that come here directly find no TLS. Set `tls`, or \
                    another PORT behind what ends TLS";
        report.warning(Where::Missing { setting: "tls".to_owned() }, text);
    }
    if let Some(variable) = inputs
        .env
        .find(ALLOW_WRITABLE_FILES)
        .filter(|variable| matches!(variable.at, Where::File { .. }))
    {
        let text = format!(
            "{ALLOW_WRITABLE_FILES} counts in the environment of the process alone: a file cannot vouch for itself"
        );
        report.warning(variable.at.clone(), text);
    }
    if config.servers.is_empty() && config.proxies.is_empty() && report.mistakes.is_empty() {
        let text = "no servers in mcp.json and no proxies in config.yaml: people can sign in, and then there is nothing to use";
        report.warning(Where::Missing { setting: "mcp.json".to_owned() }, text);
    }
}

/// Ends of names that other programs have for the same thing.
const ALIASES: [(&str, &str); 8] = [
    ("_CLIENT_ID", "_ID"),
    ("_CLIENTID", "_ID"),
    ("_CLIENT_SECRET", "_SECRET"),
    ("_CLIENTSECRET", "_SECRET"),
    ("_URL", "_ISSUER"),
    ("_DOMAIN", "_ISSUER"),
    ("_ISSUER_URL", "_ISSUER"),
    ("_TENANT", "_TENANT_ID"),
];

/// What the person most likely meant: a name that is read here, under another end.
fn meant(name: &str, known: &[String]) -> Option<String> {
    let renamed = ALIASES
        .iter()
        .filter_map(|(end, ours)| name.strip_suffix(end).map(|start| format!("{start}{ours}")));
    renamed.filter(|guess| known.contains(guess)).max_by_key(String::len)
}

fn is_quoted(value: &str) -> bool {
    let value = value.trim();
    value.len() >= 2
        && ['"', '\''].iter().any(|quote| value.starts_with(*quote) && value.ends_with(*quote))
}

fn has_reference(value: &str) -> bool {
    value.split_once("${").is_some_and(|(_, rest)| rest.contains('}'))
}

/// Every variable that is read with this configuration.
pub(super) fn known_variables(config: &Config) -> Vec<String> {
    let others = OTHERS.into_iter().chain(provider::old_variables());
    let mut known: Vec<String> = others.map(str::to_owned).collect();
    of_section(&CONFIG, &mut known);
    let configured = config.providers.iter().map(|provider| provider.settings.name.as_str());
    known.extend(PRESETS.iter().copied().chain(configured).flat_map(provider::variables));
    known
}

fn of_section(section: &Section, known: &mut Vec<String>) {
    for setting in section.settings {
        known.extend(setting.variables.iter().map(|name| (*name).to_owned()));
        if let ValueType::Section(inner) = setting.value {
            of_section(inner, known);
        }
    }
}
