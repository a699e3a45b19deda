//! `portunus grants`: what people allowed clients, listed and revoked. Works on the records of a gateway that runs: it notices
//! within a second.

use std::{
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
    secret::TokenHash,
    store::{GrantsOf, Stores},
    text::visible,
};

use super::{ConfigFiles, run_async, serve};
use crate::{
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
    /// Revoke one grant, or all of a user, a client or a login
    ///
    /// Their tokens are refused from the next request on; by a gateway that runs elsewhere within a second. The consents they rest
    /// on are forgotten, and a user's or the given login is signed out, so that nothing comes back without somebody being asked.
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

/// Whose grants; all ids are those that `list` shows.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Whose {
    /// Those of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Those of this client
    #[arg(long, value_name = "CLIENT_ID", allow_hyphen_values = true)]
    client: Option<String>,
    /// Those given in this login of a browser
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    login: Option<String>,
}

impl Whose {
    fn parse(&self) -> anyhow::Result<Option<GrantsOf>> {
        if let Some(login) = &self.login {
            let hash = TokenHash::parse(login).context("--login takes the id of a login as `portunus grants list` shows it")?;
            return Ok(Some(GrantsOf::Login(hash)));
        }
        let user = self.user.as_ref().map(|id| GrantsOf::User(UserId::from_text(id)));
        Ok(user.or_else(|| self.client.as_ref().map(|id| GrantsOf::Client(ClientId::from_text(id)))))
    }
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
    let text = match command {
        GrantsCommand::List { whose, .. } => {
            let of = whose.parse()?.unwrap_or(GrantsOf::Everyone);
            list(&serve::open_records(&config).await?, &of, now).await?
        }
        GrantsCommand::Revoke { grant, whose, .. } => match (whose.parse()?, grant) {
            (Some(of), _) => revoke(&serve::open_records(&config).await?, &of, now).await?,
            (None, Some(grant)) => revoke_one(&serve::open_records(&config).await?, &GrantId::from_text(grant), now).await?,
            (None, None) => bail!("say which grant, or whose"),
        },
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

async fn list(stores: &Stores, of: &GrantsOf, now: Timestamp) -> anyhow::Result<String> {
    let grants = stores.grants.list_grants(of, LIMIT).await?;
    let mut text = String::new();
    for grant in &grants {
        text.push_str(&shown(stores, grant, now).await?);
    }
    writeln!(text, "{} grants", grants.len())?;
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
    let mut text = format!("{}{}\n", grant.id, if grant.is_live(now) { "" } else { "  (has ended)" });
    writeln!(text, "  user      {}", user.as_deref().map_or_else(|| visible(grant.user.as_str()), visible))?;
    writeln!(text, "  client    {}", client.as_deref().map_or_else(|| visible(grant.client.as_str()), visible))?;
    writeln!(text, "  resource  {}", grant.resources)?;
    writeln!(text, "  scopes    {}", grant.scopes)?;
    writeln!(text, "  allowed   {}", when::day(grant.created_at, now))?;
    if let Some(login) = &grant.login {
        writeln!(text, "  login     {login}")?;
    }
    Ok(text)
}

async fn revoke_one(stores: &Stores, id: &GrantId, now: Timestamp) -> anyhow::Result<String> {
    let Some(grant) = stores.grants.find_grant(id).await? else { bail!("there is no grant {}", visible(id.as_str())) };
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
    Ok(format!("{grants} grants revoked, {logins} logins ended\n"))
}
