//! What is probably not meant: variables that look like ours and are not, a gateway with nothing behind it.

use super::{
    Config,
    mistake::{Report, Where},
    near::nearest,
    provider::prefix,
    raw::{ALLOW_WRITABLE_FILES, Raw},
    shape::{Field, Shape, Table},
    tables,
};

/// Variables that are read beside those of the tables and of the providers.
const OTHERS: [&str; 16] = [
    "ALLOW_WRITABLE_FILES",
    "AUTH_PROVIDER",
    "DEBUG",
    "HOST",
    "KVS_ADDR",
    "LOG_ENV",
    "NODE_ENV",
    "OKTA_CLIENT_ID",
    "OKTA_CLIENT_SECRET",
    "OKTA_CLIENT_SECRET_FILE",
    "OKTA_REDIRECT_URI",
    "OKTA_URL",
    "OAUTH_OKTA_URL",
    "OAUTH_OKTA_REDIRECT_URI",
    "PORT",
    "TOKEN_EXPIRATION_TIME",
];
/// Ends of a provider's variables.
const SUFFIXES: [&str; 15] = [
    "ID",
    "SECRET",
    "SECRET_FILE",
    "ISSUER",
    "TENANT_ID",
    "LABEL",
    "SCOPES",
    "GROUPS_CLAIM",
    "REDIRECT_URI",
    "ALLOW",
    "ALLOWED_DOMAINS",
    "ALLOWED_GROUPS",
    "ALLOWED_ORGANISATIONS",
    "ALLOWED_ORGANIZATIONS",
    "ALLOWED_PEOPLE",
];
/// Variables of Auth.js that need no counterpart here.
const NOT_NEEDED: [&str; 3] = ["AUTH_URL", "AUTH_TRUST_HOST", "AUTH_REDIRECT_PROXY_URL"];

/// Adds its warnings to the report.
pub(super) fn warn(raw: &Raw<'_>, config: &Config, report: &mut Report) {
    let known = known_variables(config);
    let is_ours =
        |name: &str| ["AUTH_", "OKTA_", "OAUTH_OKTA_", "KVS_", "TOKEN_EXPIRATION"].iter().any(|start| name.starts_with(start));
    for (name, variable) in raw.env.iter() {
        let is_stray = is_ours(name) && !known.iter().any(|known| known == name) && !NOT_NEEDED.contains(&name);
        if let Some(guess) = nearest(name, known.iter().map(String::as_str)).filter(|_| is_stray) {
            report.warning(variable.at.clone(), format!("{name} is not read: did you mean {guess}?"));
        }
    }
    if let Some(variable) = raw.env.find(ALLOW_WRITABLE_FILES).filter(|variable| matches!(variable.at, Where::File { .. })) {
        let text =
            format!("{ALLOW_WRITABLE_FILES} counts in the environment of the process alone: a file cannot vouch for itself");
        report.warning(variable.at.clone(), text);
    }
    if config.servers.is_empty() && config.proxies.is_empty() && report.mistakes.is_empty() {
        let text = "no servers in mcp.json and no proxies in config.yaml: people can sign in, and then there is nothing to use";
        report.warning(Where::Missing { setting: "mcp.json".to_owned() }, text);
    }
}

/// Every variable that is read with this configuration.
pub(super) fn known_variables(config: &Config) -> Vec<String> {
    let mut known: Vec<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    known.extend(["OAUTH_OKTA_CLIENT_ID", "OAUTH_OKTA_CLIENT_SECRET", "OAUTH_OKTA_CLIENT_SECRET_FILE"].map(str::to_owned));
    of_table(&tables::CONFIG, &mut known);
    let configured = config.providers.iter().map(|provider| provider.settings.name.as_str());
    for provider in tables::PRESETS.iter().copied().chain(configured) {
        known.extend(SUFFIXES.iter().map(|suffix| format!("{}{suffix}", prefix(provider))));
    }
    known
}

fn of_table(table: &Table, known: &mut Vec<String>) {
    for Field { shape, variables, .. } in table.fields {
        known.extend(variables.iter().map(|name| (*name).to_owned()));
        if let Shape::Table(inner) = shape {
            of_table(inner, known);
        }
    }
}
