//! `portunus grants`: what people allowed clients, listed and revoked. Works on the records of a
//! gateway that runs: it notices within a second.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use portunus_core::{
    Clock as _, Timestamp,
    clock::SystemClock,
    grant::Grant,
    ids::{ClientId, GrantId, UserId},
    principal::User,
    secret::TokenHash,
    store::{GrantsOf, Stores},
    text::visible,
};

use super::{ConfigFiles, run_async, serve};
use crate::{
    audit::command::{done, record},
    config::{Config, Loaded},
    edge::pages::when,
};

/// Listed at most.
const LIMIT: u32 = 10_000;

#[derive(Args, Debug)]
pub struct GrantsArgs {
    #[command(subcommand)]
    command: GrantsCommand,
}

#[derive(Debug, Subcommand)]
enum GrantsCommand {
    /// List the grants that are not revoked, newest first, each with its user, client and login
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Revoke one grant, or all of a person, a client or a login
    ///
    /// Their tokens are refused from the next request on; by a gateway that runs elsewhere within a
    /// second. The consents they rest on are forgotten, and a user's or the given login is signed
    /// out, so that nothing comes back without somebody being asked.
    Revoke {
        /// The id of one grant, as `list` shows it
        #[arg(required_unless_present_any = ["user", "client", "login"], conflicts_with_all = ["user", "client", "login"])]
        grant: Option<String>,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

/// Whose grants.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Whose {
    /// Those of this person: an e-mail address, or the id or the subject that `list` shows
    #[arg(long, value_name = "ADDRESS OR ID")]
    user: Option<String>,
    /// Those of this client: its name or its id
    #[arg(long, value_name = "NAME OR ID", allow_hyphen_values = true)]
    client: Option<String>,
    /// Those given in this login of a browser
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    login: Option<String>,
}

/// Some grants, and in words whose they are.
struct Selected {
    of: GrantsOf,
    whose: String,
}

impl Whose {
    /// Everything that is meant; `None` if no person, client or login is named. An error if there
    /// is no such person, client or login.
    async fn select(&self, stores: &Stores) -> anyhow::Result<Option<Vec<Selected>>> {
        if let Some(login) = &self.login {
            let hash = TokenHash::parse(login)
                .context("--login takes the id of a login as `portunus grants list` shows it")?;
            return Ok(Some(vec![Selected {
                of: GrantsOf::Login(hash),
                whose: format!("login {hash}"),
            }]));
        }
        if let Some(called) = &self.user {
            return users(stores, called).await.map(Some);
        }
        match &self.client {
            Some(called) => clients(stores, called).await.map(Some),
            None => Ok(None),
        }
    }
}

async fn users(stores: &Stores, called: &str) -> anyhow::Result<Vec<Selected>> {
    let found = stores.logins.find_users(called).await?;
    let mut selected: Vec<_> = found
        .iter()
        .map(|user| Selected { of: GrantsOf::User(user.id.clone()), whose: described(user) })
        .collect();
    if selected.is_empty() {
        // A person whose record is gone may have left grants.
        let of = GrantsOf::User(UserId::from_text(called));
        if stores.grants.list_grants(&of, 1).await?.is_empty() {
            bail!(
                "there is nobody whose e-mail address, id or subject is {:?}: `portunus grants list` shows who has allowed something",
                visible(called)
            );
        }
        selected.push(Selected { of, whose: visible(called) });
    }
    Ok(selected)
}

/// Registered ones by id or name; those of the configuration and those that are documents by the
/// grants that they have.
async fn clients(stores: &Stores, called: &str) -> anyhow::Result<Vec<Selected>> {
    let by_id = GrantsOf::Client(ClientId::from_text(called));
    let is_there = stores.clients.find_client(&ClientId::from_text(called)).await?.is_some();
    if is_there || !stores.grants.list_grants(&by_id, 1).await?.is_empty() {
        return Ok(vec![Selected { of: by_id, whose: visible(called) }]);
    }
    let registered = stores.clients.list_clients(u32::MAX).await?;
    let named = registered
        .iter()
        .filter(|client| client.display_name().to_lowercase() == called.to_lowercase());
    let selected: Vec<_> = named
        .map(|client| Selected {
            of: GrantsOf::Client(client.id.clone()),
            whose: visible(&format!("{}  {}", client.display_name(), client.id)),
        })
        .collect();
    anyhow::ensure!(
        !selected.is_empty(),
        "there is no client whose name or id is {:?}: `portunus clients list` shows those there are",
        visible(called)
    );
    Ok(selected)
}

fn described(user: &User) -> String {
    let address = user.email.as_deref().map(|email| format!("  {email}")).unwrap_or_default();
    visible(&format!("{}{address}  ({}, {})", user.display_name(), user.provider, user.id))
}

impl GrantsCommand {
    const fn files(&self) -> &ConfigFiles {
        match self {
            Self::List { files, .. } | Self::Revoke { files, .. } => files,
        }
    }
}

/// Runs one of them and prints what it has to say.
pub fn run(args: GrantsArgs) -> anyhow::Result<ExitCode> {
    match args.command.files().load() {
        Ok(Loaded { config, .. }) => run_async(answer(args.command, config)),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(ExitCode::from(2))
        }
    }
}

async fn answer(command: GrantsCommand, config: Config) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let stores = serve::open_records(&config).await?;
    let text = match command {
        GrantsCommand::List { whose, .. } => match whose.select(&stores).await? {
            Some(selected) => {
                list(&stores, selected.into_iter().map(|selected| selected.of), now).await?
            }
            None => list(&stores, [GrantsOf::Everyone], now).await?,
        },
        GrantsCommand::Revoke { grant, whose, .. } => match (whose.select(&stores).await?, grant) {
            (Some(selected), _) => {
                let text = revoke_all(&stores, &selected, now).await?;
                let told = |of: &Selected| done("grants revoke", of.whose.clone());
                record(&config, &stores, selected.iter().map(told).collect()).await?;
                text
            }
            (None, Some(grant)) => {
                let text = revoke_one(&stores, &GrantId::from_text(&grant), now).await?;
                record(&config, &stores, vec![done("grants revoke", grant)]).await?;
                text
            }
            (None, None) => bail!("say which grant, or whose"),
        },
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

async fn list(
    stores: &Stores,
    whose: impl IntoIterator<Item = GrantsOf>,
    now: Timestamp,
) -> anyhow::Result<String> {
    let (mut text, mut count) = (String::new(), 0_u64);
    for of in whose {
        let grants = stores.grants.list_grants(&of, LIMIT).await?;
        for grant in &grants {
            text.push_str(&shown(stores, grant, now).await?);
        }
        count += grants.len() as u64;
    }
    writeln!(text, "{}", counted(count, "grant"))?;
    Ok(text)
}

/// Ends what each of them has, and says what it ended.
async fn revoke_all(
    stores: &Stores,
    selected: &[Selected],
    now: Timestamp,
) -> anyhow::Result<String> {
    let mut text = String::new();
    for Selected { of, whose } in selected {
        let grants = stores.grants.list_grants(of, LIMIT).await?;
        let clients: BTreeSet<_> = grants.iter().map(|grant| grant.client.clone()).collect();
        writeln!(text, "{whose}")?;
        if !matches!(of, GrantsOf::Client(_)) {
            for client in clients {
                let found = stores.clients.find_client(&client).await?;
                let name = found.map_or_else(
                    || client.to_string(),
                    |found| format!("{}  {client}", found.display_name()),
                );
                writeln!(text, "  {}", visible(&name))?;
            }
        }
        write!(text, "  {}", revoke(stores, of, now).await?)?;
        if let GrantsOf::User(user) = of {
            stores.provider_tokens.delete_provider_token(user).await?;
        }
    }
    Ok(text)
}

async fn shown(stores: &Stores, grant: &Grant, now: Timestamp) -> anyhow::Result<String> {
    let user = stores.logins.find_user(&grant.user).await?;
    let user = user.map(|user| match user.email {
        Some(email) => format!("{}  {email}", grant.user),
        None => format!("{}  {}", grant.user, user.display_name()),
    });
    let client = stores.clients.find_client(&grant.client).await?;
    let client = client.map(|client| format!("{}  {}", grant.client, client.display_name()));
    let key =
        grant.key.as_ref().map(|key| format!("{}  {}  {}…", grant.client, key.name, key.shown));
    let client = client.or(key);
    let mut text =
        format!("{}{}\n", grant.id, if grant.is_live(now) { "" } else { "  (has ended)" });
    writeln!(
        text,
        "  user      {}",
        user.as_deref().map_or_else(|| visible(grant.user.as_str()), visible)
    )?;
    writeln!(
        text,
        "  client    {}",
        client.as_deref().map_or_else(|| visible(grant.client.as_str()), visible)
    )?;
    writeln!(text, "  resource  {}", grant.resources)?;
    writeln!(text, "  scopes    {}", grant.scopes)?;
    writeln!(text, "  allowed   {}", when::day(grant.created_at, now))?;
    if let Some(login) = &grant.login {
        writeln!(text, "  login     {login}")?;
    }
    Ok(text)
}

async fn revoke_one(stores: &Stores, id: &GrantId, now: Timestamp) -> anyhow::Result<String> {
    let Some(grant) = stores.grants.find_grant(id).await? else {
        bail!("there is no grant {}", visible(id.as_str()))
    };
    stores.consents.delete_consents(&grant.user, &grant.client).await?;
    let revoked = stores.grants.revoke_grant(id, now).await?;
    Ok(if revoked { "1 grant revoked\n".to_owned() } else { "it was revoked before\n".to_owned() })
}

/// Logins go first: a browser that is still signed in could allow the client anew in between.
pub async fn revoke(stores: &Stores, of: &GrantsOf, now: Timestamp) -> anyhow::Result<String> {
    let logins = match of {
        GrantsOf::User(user) => stores.logins.take_logins(user).await?,
        GrantsOf::Login(login) => u64::from(stores.logins.take_login(login).await?.is_some()),
        GrantsOf::Client(_) | GrantsOf::Everyone => 0,
    };
    let grants = stores.grants.revoke_grants(of, now).await?;
    Ok(format!("{} revoked, {} ended\n", counted(grants, "grant"), counted(logins, "login")))
}

/// `2 grants`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
