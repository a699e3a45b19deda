//! Section: the identity providers people sign in at. Which ones there are is decided here; the
//! settings of each are read in [`super::provider`].

use portunus_core::{
    resource::PublicUrl,
    settings::{Setting, ValueType},
};

use super::{
    inputs::{Inputs, Written, written},
    mistake::{Report, Where},
    provider::{PROVIDER, ProviderConfig, resolve_one},
    provider_name::{Named, PRESETS, prefix, preset_of},
    suggest::nearest,
};

pub(super) const PROVIDERS: Setting = Setting::new(
    "providers",
    ValueType::List(&ValueType::Section(&PROVIDER)),
    "Identity providers people sign in at, in the order shown",
);

/// All providers, in the order they are offered.
pub(super) fn resolve(
    inputs: &Inputs<'_>,
    public_url: &PublicUrl,
    report: &mut Report,
) -> Vec<ProviderConfig> {
    let named = named(inputs, report);
    let mut providers: Vec<ProviderConfig> = Vec::new();
    for named in &named {
        let Some(provider) = resolve_one(inputs, named, public_url, report) else { continue };
        check_callback(&provider, &providers, named, public_url, report);
        providers.push(provider);
    }
    providers
}

/// Two providers answer at one callback only if every answer says whose it is (threat 54; RFC 9700
/// section 4.4.2, RFC 9207).
fn check_callback(
    provider: &ProviderConfig,
    earlier: &[ProviderConfig],
    named: &Named<'_>,
    public_url: &PublicUrl,
    report: &mut Report,
) {
    let Some(callback) = &provider.settings.redirect_uri else { return };
    let shares = |other: &&ProviderConfig| other.settings.redirect_uri.as_ref() == Some(callback);
    for other in earlier.iter().filter(shares) {
        let (name, other_name) = (&provider.settings.name, &other.settings.name);
        let own = public_url.at(&format!("/auth/callback/{name}"));
        let silent = [provider, other].into_iter().find(|it| it.settings.preset.never_sends_iss());
        match silent {
            Some(silent) => report.mistake(
                named.at.clone(),
                format!("`{callback}` as the callback of {name}, and of {other_name} too"),
                format!(
                    "a callback for each provider, such as `{own}`: the answers of {} do not say whose they are (`iss`, RFC 9207)",
                    silent.settings.name
                ),
            ),
            None => report.warning(
                named.at.clone(),
                format!(
                    "{name} and {other_name} share the callback {callback}: answers that do not say whose they are (`iss`, RFC 9207) \
                     are refused. `{own}` would be {name}'s own"
                ),
            ),
        }
    }
}

/// `AUTH_PROVIDER` says which (with commas between several); without it those of `config.yaml`;
/// without those the one whose variables are set.
fn named<'a>(inputs: &'a Inputs<'_>, report: &mut Report) -> Vec<Named<'a>> {
    let from_file = named_in_file(inputs, report);
    if let Some(Written { text, at, .. }) = inputs.variable(&["AUTH_PROVIDER"], report) {
        let mut chosen: Vec<Named<'_>> = Vec::new();
        for name in text
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
        {
            if !is_name(&name) {
                report.mistake(
                    at.clone(),
                    format!("`{name}`"),
                    "names of providers, such as okta, with commas between several",
                );
            } else if let Some(meant) = misspelt(&name, &from_file, inputs) {
                let expected = format!(
                    "`{meant}`; or, for a provider of your own, {}ISSUER and the like",
                    prefix(&name)
                );
                report.mistake(at.clone(), format!("`{name}`"), expected);
            } else if chosen.iter().all(|earlier| earlier.name != name) {
                let item = from_file
                    .iter()
                    .find(|named| named.name == name)
                    .and_then(|named| named.item.clone());
                chosen.push(Named { name, at: at.clone(), item });
            }
        }
        return chosen;
    }
    if inputs.config.root().find("providers").is_some_and(|list| !list.items().is_empty()) {
        return from_file;
    }
    named_by_variables(inputs, report)
}

/// The preset that was meant, if nothing is set for a provider of this name.
fn misspelt(name: &str, from_file: &[Named<'_>], inputs: &Inputs<'_>) -> Option<&'static str> {
    let is_set = inputs.env.iter().any(|(variable, _)| variable.starts_with(&prefix(name)));
    let is_known = preset_of(name).is_some() || from_file.iter().any(|named| named.name == name);
    if is_set || is_known { None } else { nearest(name, PRESETS.iter().copied()) }
}

fn named_in_file<'a>(inputs: &'a Inputs<'_>, report: &mut Report) -> Vec<Named<'a>> {
    let items = inputs.config.root().find("providers").map(|item| item.items()).unwrap_or_default();
    let mut found: Vec<Named<'_>> = Vec::new();
    for item in items {
        let name = written(item.find("name").or_else(|| item.find("preset")));
        let Some(Written { text: name, at, .. }) = name else {
            report.mistake(
                item.at(),
                "a provider without `name` and `preset`",
                "`name: okta`, or `preset` if the name is of your own",
            );
            continue;
        };
        if !is_name(&name) {
            report.mistake(
                at,
                format!("`{name}`"),
                "a name of small letters, digits and `-`: it stands in /auth/callback/{name}",
            );
        } else if let Some(earlier) = found.iter().find(|earlier| earlier.name == name) {
            report.mistake(
                at,
                format!("`{name}`, which is at {} already", earlier.at),
                "another name for each provider",
            );
        } else {
            found.push(Named { name, at, item: Some(item) });
        }
    }
    found
}

fn named_by_variables<'a>(inputs: &Inputs<'_>, report: &mut Report) -> Vec<Named<'a>> {
    let presets = PRESETS.iter().filter(|name| **name != "oidc");
    let is_set = |name: &str| {
        let own = ["ID", "ISSUER"].map(|suffix| format!("{}{suffix}", prefix(name)));
        let old = ["OKTA_CLIENT_ID", "OAUTH_OKTA_CLIENT_ID", "OKTA_URL", "OAUTH_OKTA_URL"]
            .map(str::to_owned);
        let mut variables = own.into_iter().chain(old.into_iter().filter(|_| name == "okta"));
        variables
            .find_map(|variable| inputs.env.find(&variable))
            .map(|variable| (name.to_owned(), variable.at.clone()))
    };
    let set: Vec<(String, Where)> = presets.filter_map(|name| is_set(name)).collect();
    match set.len() {
        0 => report.missing(
            "AUTH_PROVIDER",
            "an identity provider: AUTH_PROVIDER=okta with AUTH_OKTA_ID, AUTH_OKTA_SECRET and AUTH_OKTA_ISSUER; or `providers` in \
             config.yaml. To try without one: `portunus demo`",
        ),
        1 => {}
        _ => {
            let names: Vec<&str> = set.iter().map(|(name, _)| name.as_str()).collect();
            report.missing(
                "AUTH_PROVIDER",
                format!("which to use, for the variables of several are set: AUTH_PROVIDER={}, or one of them", names.join(",")),
            );
            return Vec::new();
        }
    }
    set.into_iter().map(|(name, at)| Named { name, at, item: None }).collect()
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
