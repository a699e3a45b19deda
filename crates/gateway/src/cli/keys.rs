//! `portunus keys`: keys for scripts and agents that have no browser, made, listed and revoked.
//! Works on the records of a gateway that runs: it takes a new key at once, and notices within a
//! second that one is revoked. What keys are is `crate::agent_keys`'.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use portunus_core::{
    Clock as _, Timestamp,
    access::{Facts, Thing},
    agent_key::{self, KeyTargets},
    audit::{Event, Person},
    clock::SystemClock,
    grant::Grant,
    ids::{AGENT_KEY, UserId},
    lifetimes::Lifetimes,
    principal::User,
    resource::{Resources, Target},
    scope::Scope,
    settings::quantity::{DURATION, parse_duration, show_duration},
    store::{GrantsOf, Stores},
    text::visible,
};
use serde_json::{Value, json};

use super::{ConfigFiles, audit::time, grants::counted, run_async, serve};
use crate::{
    agent_keys::{self, KeyMaker, Wish},
    audit::command::record_about,
    config::{Config, Loaded},
    gateway::resources,
    os::OsEntropy,
};

#[derive(Args, Debug)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key that acts for a person, and print it once
    ///
    /// The key goes into `Authorization: Bearer …` of each request, in place of a token. It may use
    /// what its owner may use, on the servers that it names: access rules are asked at each use,
    /// with the owner's groups (and the client `agent-key`). It ends at its time, when it or all
    /// that its owner allowed is revoked, and when the owner is no longer admitted. It rests while
    /// the owner has not signed in for as long as `lifetimes.grant` (90d).
    ///
    /// The key alone is written to standard output, everything else to standard error. It is not
    /// kept: only its hash is.
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// List the keys that are not revoked, newest first
    ///
    /// Of each its name, its first characters, its id (which the audit trail names), its owner,
    /// what it is for, and when it ends.
    List {
        /// Those of this person: an e-mail address, an id or a subject
        #[arg(long, value_name = "ADDRESS OR ID")]
        owner: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Revoke one key, by its first characters or its id
    ///
    /// It is refused from the next request on; by a gateway that runs elsewhere within a second.
    /// `portunus grants revoke --user ADDRESS` revokes all of a person's, with everything else they
    /// allowed; `portunus grants revoke --client agent-key` revokes every key there is.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke {
        /// The first characters of the key, or its id, as `list` shows them; or a whole key that
        /// was found somewhere
        #[arg(value_name = "PREFIX|ID")]
        key: String,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

const CREATE_EXAMPLES: &str = "\
Examples:
  portunus keys create --owner alice@acme.com --server github --name \"nightly job\"
  portunus keys create --owner alice@acme.com --server github --server jira --expires 30d --name report > key
  portunus keys create --owner alice@acme.com --server github --scope github:read --name reader
  portunus keys create --owner alice@acme.com --all-servers --name agent --json

  curl https://mcp.acme.com/mcp/github -H \"Authorization: Bearer $(cat key)\" …   (docs/keys.md)";

const REVOKE_EXAMPLES: &str = "\
Examples:
  portunus keys revoke ptn_ak_V1StGXR8
  portunus keys revoke ptn_grant_4f90d13a42";

#[derive(Args, Debug)]
struct CreateArgs {
    /// For whom the key acts: an e-mail address, an id or a subject of a person who has signed in
    #[arg(long, value_name = "ADDRESS OR ID")]
    owner: String,
    /// A server of mcp.json, used at /mcp/NAME, or a pattern of `proxies`; may come again
    #[arg(
        long = "server",
        value_name = "NAME",
        required_unless_present = "all_servers",
        conflicts_with = "all_servers"
    )]
    servers: Vec<String>,
    /// All servers in one, at /mcp
    #[arg(long)]
    all_servers: bool,
    /// What of them it may use: a server's name, or a scope of the configuration; may come again
    /// [default: mcp, all that the owner may use]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends, from now: 12h, 30d; `lifetimes.agent_key` (365d) at most
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = lifetime)]
    expires: Duration,
    /// What it is called in lists: what uses it, and where
    #[arg(long)]
    name: String,
    /// The key and what is known of it as JSON, on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: ConfigFiles,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("write {DURATION}"))
}

impl KeysCommand {
    const fn files(&self) -> &ConfigFiles {
        match self {
            Self::Create(CreateArgs { files, .. })
            | Self::List { files, .. }
            | Self::Revoke { files, .. } => files,
        }
    }
}

/// Runs one of them and prints what it has to say.
pub fn run(args: KeysArgs) -> anyhow::Result<ExitCode> {
    match args.command.files().load() {
        Ok(Loaded { config, .. }) => run_async(answer(args.command, config)),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn answer(command: KeysCommand, config: Config) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let stores = serve::open_records(&config).await?;
    match command {
        KeysCommand::Create(args) => create(&config, &stores, &args, now).await,
        KeysCommand::List { owner, json, .. } => {
            let text = list(&stores, owner.as_deref(), json, &config.lifetimes, now).await?;
            Ok(io::stdout().write_all(text.as_bytes())?)
        }
        KeysCommand::Revoke { key, .. } => {
            let text = revoke(&config, &stores, &key, now).await?;
            Ok(io::stdout().write_all(text.as_bytes())?)
        }
    }
}

async fn create(
    config: &Config,
    stores: &Stores,
    args: &CreateArgs,
    now: Timestamp,
) -> anyhow::Result<()> {
    let owner = owner(stores, &args.owner).await?;
    check_admitted(config, &owner)?;
    let resources = resources(config);
    let targets = if args.all_servers { KeyTargets::All } else { KeyTargets::Named(&args.servers) };
    let maker = KeyMaker {
        grants: &*stores.grants,
        resources: &resources,
        lifetimes: &config.lifetimes,
        entropy: &OsEntropy,
    };
    let wish = Wish { name: &args.name, targets, scopes: &args.scopes, lifetime: args.expires };
    let new = maker.create(&owner, &wish, now).await?;
    let person = Person::user(&owner).with_key(&new.grant.id);
    let recorded =
        record_about(config, stores, vec![(person, agent_keys::created(&new.grant))]).await;
    let secret = new.secret.expose();
    let text = if args.json {
        let mut members = json_of(&new.grant, Some(&owner), &config.lifetimes);
        members["key"] = Value::from(secret);
        format!("{members}\n")
    } else {
        format!("{secret}\n")
    };
    io::stdout().write_all(text.as_bytes())?;
    io::stdout().flush()?;
    let told = told(config, &resources, &owner, &new.grant, now);
    io::stderr().write_all(told.as_bytes())?;
    recorded
}

/// The one person who is called so and has signed in.
async fn owner(stores: &Stores, called: &str) -> anyhow::Result<User> {
    let mut found = stores.logins.find_users(called).await?;
    match (found.pop(), found.is_empty()) {
        (Some(owner), true) => Ok(owner),
        (None, _) => bail!(
            "nobody has signed in whose e-mail address, id or subject is {:?}: a key is made for a person who has signed in once, in a browser",
            visible(called)
        ),
        (Some(last), false) => {
            found.push(last);
            let ids: Vec<_> =
                found.iter().map(|user| format!("{} ({})", user.id, user.provider)).collect();
            bail!(
                "several people are called {:?}: say which by id, {}",
                visible(called),
                ids.join(" or ")
            )
        }
    }
}

/// May the owner sign in, by the rules of now? It is asked at each use as well.
fn check_admitted(config: &Config, owner: &User) -> anyhow::Result<()> {
    let provider =
        config.providers.iter().find(|provider| provider.settings.name == owner.provider);
    let provider = provider.with_context(|| {
        format!(
            "{} signed in at the identity provider {}, which is not configured any more",
            visible(owner.display_name()),
            owner.provider
        )
    })?;
    let decided = provider.allow.decide(owner);
    ensure!(
        decided.is_ok(),
        "{} may not sign in here any more, so a key of theirs would not work: the account is {}",
        visible(owner.display_name()),
        decided.err().map(|why| why.to_string()).unwrap_or_default()
    );
    Ok(())
}

/// What to know about a key that was just made.
fn told(
    config: &Config,
    resources: &Resources,
    owner: &User,
    key: &Grant,
    now: Timestamp,
) -> String {
    let name = visible(owner.display_name());
    let mut text = format!(
        "This is the key. It is not shown again; keep it as a password.\n\n{}",
        shown(key, Some(owner), now)
    );
    let every = show_duration(config.lifetimes.grant);
    let _ = writeln!(text, "\n{name} has to sign in at {} once in {every}.", config.public_url);
    if agent_key::check_owner(owner, now, &config.lifetimes).is_err() {
        let _ = writeln!(text, "That is due: until then the key is refused.");
    }
    let facts = facts(owner);
    for resource in key.resources.iter() {
        let (thing, what) = match resources.target(resource) {
            Some(Target::Server(server)) => (Thing::Server(server), server.as_str()),
            Some(Target::Proxy { pattern }) => (Thing::Proxy(pattern), pattern.as_str()),
            Some(Target::All) | None => continue,
        };
        if !config.access.decide(&facts, &thing).is_allowed() {
            let _ = writeln!(
                text,
                "Access rules do not let {name} use {what}, so the key finds nothing there: `portunus access explain` says why."
            );
        }
    }
    text
}

/// What access rules are asked about when the key is used.
fn facts(owner: &User) -> Facts {
    Facts {
        user: owner.id.to_string(),
        subject: owner.subject.clone(),
        email: owner.verified_email().map(str::to_owned),
        groups: owner.groups.clone(),
        provider: Some(owner.provider.to_string()),
        client: AGENT_KEY.to_owned(),
    }
}

async fn list(
    stores: &Stores,
    owned_by: Option<&str>,
    as_json: bool,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> anyhow::Result<String> {
    let of = match owned_by {
        Some(called) => GrantsOf::User(owner(stores, called).await?.id),
        None => agent_keys::all(),
    };
    let keys = agent_keys::list(&*stores.grants, &of).await?;
    let mut text = String::new();
    for key in &keys {
        let owner = stores.logins.find_user(&key.user).await?;
        if as_json {
            writeln!(text, "{}", json_of(key, owner.as_ref(), lifetimes))?;
        } else {
            text.push_str(&shown(key, owner.as_ref(), now));
        }
    }
    if !as_json {
        writeln!(text, "{}", counted(keys.len() as u64, "key"))?;
    }
    Ok(text)
}

async fn revoke(
    config: &Config,
    stores: &Stores,
    called: &str,
    now: Timestamp,
) -> anyhow::Result<String> {
    let found = agent_keys::find(&*stores.grants, called, now).await?;
    let key = match found.as_slice() {
        [key] => key,
        [] => bail!(
            "there is no key with this id or these first characters (ptn_ak_ and four more at least): `portunus keys list` shows those there are"
        ),
        several => {
            let ids: Vec<_> = several.iter().map(|key| key.id.to_string()).collect();
            bail!("several keys begin so: say which by id, {}", ids.join(" or "))
        }
    };
    if !stores.grants.revoke_grant(&key.id, now).await? {
        return Ok("it was revoked before\n".to_owned());
    }
    let owner = stores.logins.find_user(&key.user).await?;
    let person = owner.as_ref().map_or_else(|| Person::user_id(&key.user), Person::user);
    record_about(config, stores, vec![(person.with_key(&key.id), Event::KeyRevoked)]).await?;
    Ok(format!("{}1 key revoked\n", shown(key, owner.as_ref(), now)))
}

fn shown(key: &Grant, owner: Option<&User>, now: Timestamp) -> String {
    let Some(label) = &key.key else { return String::new() };
    let ended = if key.is_live(now) { "" } else { "  (has ended)" };
    let mut text = format!("{}  {}…{ended}\n", visible(&label.name), visible(&label.shown));
    let lines = [
        ("id", key.id.to_string()),
        ("owner", owner_of(&key.user, owner)),
        ("for", key.resources.to_string()),
        ("scopes", key.scopes.to_string()),
        ("made", time::written(key.created_at)),
        ("ends", key.expires_at.map(time::written).unwrap_or_default()),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<7} {value}");
    }
    text
}

fn owner_of(id: &UserId, owner: Option<&User>) -> String {
    let named = owner.map(|owner| owner.email.as_deref().unwrap_or_else(|| owner.display_name()));
    visible(&named.map_or_else(|| id.to_string(), |named| format!("{named}  ({id})")))
}

fn json_of(key: &Grant, owner: Option<&User>, lifetimes: &Lifetimes) -> Value {
    let label = key.key.as_ref();
    let resources: Vec<_> = key.resources.iter().map(ToString::to_string).collect();
    let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
    let rests = owner.map(|owner| time::written(agent_key::believed_until(owner, lifetimes)));
    json!({
        "id": key.id.as_str(),
        "name": label.map(|label| &label.name),
        "prefix": label.map(|label| &label.shown),
        "owner": key.user.as_str(),
        "email": owner.and_then(|owner| owner.email.as_deref()),
        "resources": resources,
        "scopes": scopes,
        "created_at": time::written(key.created_at),
        "expires_at": key.expires_at.map(time::written),
        "owner_signs_in_before": rests,
    })
}
