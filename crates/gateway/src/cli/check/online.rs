//! What others say of the configuration, for `check --online`: the identity providers, the store,
//! the names of servers, the way to clients' documents. Next door: [`super::machine`] looks at what
//! is here.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

use portunus_core::{
    address_block::AddressBlock,
    clock::SystemClock,
    ids::{ProviderName, ServerName},
    oauth::registration_policy::{Domain, RegistrationMethod},
    outside_url::OutsideUrl,
    pins::PinKind,
    store::PinRecord,
    text::visible,
    tool_name::oddity,
};
use portunus_identity::{Finding, Ours, State, diagnose, of_last_sign_in};
use portunus_mcp::spec::Transport;
use portunus_store::{redis, seal::Sealer};
use tokio::{net::lookup_host, time::timeout};
use url::Url;

use super::{conclude, print, wrong};
use crate::{
    config::{ClientsConfig, Config, Names, StoreConfig},
    gateway::open_records,
    net::{
        self,
        fetch_budgets::FetchOrigin,
        guarded::{Content, FetchError, GuardedFetcher, Internet},
    },
    os::OsEntropy,
};

/// Where a client that many people have keeps its document.
const SOME_MAKER: &str = "vscode.dev";
/// How long a store or a name may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The second step. `found_before` is how much was wrong already.
pub(super) async fn ask(config: Config, found_before: usize) -> anyhow::Result<()> {
    let mut failures = found_before;
    let mut can_be_read = true;
    if let Some(store) = store(&config).await? {
        print("Asking the store", std::slice::from_ref(&store))?;
        failures += usize::from(store.is_wrong());
        can_be_read = !store.is_wrong();
    }
    let names = names(&config).await;
    if !names.is_empty() {
        print("Looking up the names of servers", &names)?;
        failures += wrong(&names);
    }
    let odd = if can_be_read { odd_names(&config).await } else { Vec::new() };
    if !odd.is_empty() {
        print("Names on /mcp, as they were seen last", &odd)?;
    }
    let http = net::identity_client(&config.provider_ca.pem)?;
    for provider in &config.providers {
        let settings = provider.settings.clone();
        let callback = config.public_url.at(&format!("/auth/callback/{}", settings.name));
        let callback = settings.redirect_uri.clone().unwrap_or(callback);
        let signed_out = config.public_url.at("/auth/signout");
        let mut findings: Vec<_> =
            if can_be_read { last_sign_in(&config, &settings.name).await } else { None }
                .into_iter()
                .collect();
        findings.extend(
            diagnose(settings, &http, Ours { callback: &callback, signed_out: &signed_out }).await,
        );
        print(&format!("Asking {}", provider.settings.name), &findings)?;
        failures += wrong(&findings);
    }
    if let Some(egress) = documents(&config).await? {
        print("Asking for clients' metadata documents", std::slice::from_ref(&egress))?;
        // Without them clients register, if they may.
        failures += usize::from(
            egress.is_wrong()
                && !config.clients.registration_policy.is_open(RegistrationMethod::Registration),
        );
    }
    conclude(failures)
}

/// Redis: is it there, does it let us in, is what it holds ours? A file has been looked at before.
async fn store(config: &Config) -> anyhow::Result<Option<Finding>> {
    let StoreConfig::Redis(options) = &config.store else { return Ok(None) };
    let sealer = Sealer::new(&config.auth_secrets, Arc::new(OsEntropy))?;
    let found = match timeout(PATIENCE, redis::look(options.clone(), sealer)).await {
        Ok(looked) => looked.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "Redis at {} does not answer within {} s",
            options.address,
            PATIENCE.as_secs()
        )),
    };
    Ok(Some(Finding {
        state: if found.is_ok() { State::Fine } else { State::Wrong },
        setting: "REDIS_URL".to_owned(),
        found: found
            .err()
            .unwrap_or_else(|| format!("{} answers, and what it holds is ours", options.address)),
        advice: None,
    }))
}

/// Tools whose names clients may refuse (FB40), of those that were seen: servers are not started
/// for it. Where there are no records, none were.
async fn odd_names(config: &Config) -> Vec<Finding> {
    let Ok(stores) = open_records(config).await else { return Vec::new() };
    let mut findings = Vec::new();
    for server in &config.servers {
        let Ok(pins) = stores.pins.list_pins(Some(&server.name)).await else { continue };
        let is_named =
            |pin: &PinRecord| matches!(pin.subject.kind, PinKind::Tool | PinKind::Prompt);
        let names: BTreeSet<_> = pins
            .iter()
            .filter(|pin| is_named(pin))
            .map(|pin| shown_as(config.names, &server.name, &pin.subject.name))
            .collect();
        findings.extend(names.into_iter().filter_map(|name| {
            let oddity = oddity(&[&name])?;
            Some(Finding {
                state: State::Unknown,
                setting: format!("mcp.json, {}", server.name),
                found: format!("{}: {oddity}", visible(&name)),
                advice: Some("A shorter name of the server helps, or `names: plain`, or the server's own address".to_owned()),
            })
        }));
    }
    findings
}

/// What a sign-in has shown that no question does: the first thing to look at.
async fn last_sign_in(config: &Config, provider: &ProviderName) -> Option<Finding> {
    let user = open_records(config).await.ok()?.logins.latest_user(provider).await.ok()??;
    Some(of_last_sign_in(provider, &visible(user.display_name()), user.no_groups.as_deref()?))
}

fn shown_as(names: Names, server: &ServerName, tool: &str) -> String {
    match names {
        Names::Prefixed => format!("{server}_{tool}"),
        Names::Plain => tool.to_owned(),
    }
}

/// Each name of an HTTP server, once.
async fn names(config: &Config) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for server in &config.servers {
        let (Transport::Http { url, .. } | Transport::Sse { url, .. }) = &server.transport else {
            continue;
        };
        let Some(url::Host::Domain(host)) = url.host() else { continue };
        if !seen.insert(host.to_owned()) {
            continue;
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let error = match timeout(PATIENCE, lookup_host((host, port))).await {
            Ok(Ok(mut addresses)) => {
                addresses.next().is_none().then(|| "has no address".to_owned())
            }
            Ok(Err(error)) => Some(format!("cannot be looked up: {error}")),
            Err(_) => Some(format!("is not answered for within {} s", PATIENCE.as_secs())),
        };
        findings.push(Finding {
            state: if error.is_none() { State::Fine } else { State::Wrong },
            setting: format!("mcp.json, {}, url", server.name),
            found: format!("{host} {}", error.as_deref().unwrap_or("has an address")),
            advice: error
                .map(|_| "Write a name that this machine can look up, or an address".to_owned()),
        });
    }
    findings
}

/// Can clients' documents be fetched from here? `None`: there is no need to know. A gateway for
/// this machine alone asks no host on the Internet unless it has a proxy for that.
async fn documents(config: &Config) -> anyhow::Result<Option<Finding>> {
    let ClientsConfig { registration_policy, proxy, .. } = &config.clients;
    if !registration_policy.is_open(RegistrationMethod::MetadataDocument)
        || (config.public_url.is_loopback() && proxy.is_none())
    {
        return Ok(None);
    }
    let fetcher = GuardedFetcher::new(Arc::new(Internet), Arc::new(SystemClock))?;
    fetcher.use_proxy(proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok()).as_ref())?;
    let host = registration_policy
        .domains
        .iter()
        .map(Domain::as_str)
        .find(|domain| !domain.starts_with('*'))
        .unwrap_or(SOME_MAKER);
    let url = OutsideUrl::parse(&format!("https://{host}/"))
        .map_err(|bad| anyhow::anyhow!("{host}: {bad}"))?;
    let origin =
        FetchOrigin { address: AddressBlock::of(Ipv4Addr::LOCALHOST.into()), in_use: true };
    // Whatever stands there: an answer is a way.
    let way = fetcher
        .load(&url, Content::ClientDocument, origin)
        .await
        .err()
        .filter(FetchError::is_of_the_way);
    let through = if proxy.is_some() { ", through the proxy" } else { "" };
    Ok(Some(Finding {
        state: if way.is_none() { State::Fine } else { State::Wrong },
        setting: "clients.metadata_documents".to_owned(),
        found: match &way {
            None => format!("{host} answers{through}"),
            Some(error) => format!("{host} cannot be reached{through}: {error}"),
        },
        advice: way.map(|_| {
            "Documents are not advertised while that is so, and clients register instead. Set proxy (METADATA_DOCUMENTS_PROXY) to an HTTP proxy \
             for these fetches, or enabled: false."
                .to_owned()
        }),
    }))
}
