//! `portunus clients`: the OAuth clients there are, and the end of one. Works on the store itself,
//! whether the gateway runs or not; one that runs notices within a second.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::bail;
use clap::{Args, Subcommand};
use portunus_core::{
    Clock as _, Timestamp,
    client::{ApplicationType, Client, ClientKeys, ClientSource},
    clock::SystemClock,
    ids::ClientId,
    store::Stores,
    text::visible,
};

use super::{ConfigFiles, grants::counted, run_async, serve};
use crate::{
    audit::command::{done, record},
    config::{Config, Loaded},
    edge::pages::when::day,
};

#[derive(Args, Debug)]
pub struct ClientsArgs {
    #[command(subcommand)]
    command: ClientsCommand,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// The clients of the configuration and those that registered, the newest first
    List {
        /// At most so many of those that registered
        #[arg(long, value_name = "COUNT", default_value_t = 200)]
        limit: u32,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Everything that is known of one client
    Show {
        client_id: String,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Delete a client, revoke everything it was given, and forget that people allowed it. For a
    /// client in the configuration or with a metadata document, the last two
    Remove {
        client_id: String,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

pub fn run(args: ClientsArgs) -> anyhow::Result<ExitCode> {
    let (ClientsCommand::List { files, .. }
    | ClientsCommand::Show { files, .. }
    | ClientsCommand::Remove { files, .. }) = &args.command;
    let config = match files.load() {
        Ok(Loaded { config, .. }) => config,
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            return Ok(ExitCode::from(2));
        }
    };
    run_async(async move {
        let stores = serve::open_records(&config).await?;
        let now = SystemClock.now();
        let text = match args.command {
            ClientsCommand::List { limit, .. } => {
                list(&config, &stores.clients.list_clients(limit).await?, now)
            }
            ClientsCommand::Show { client_id, .. } => {
                show(&find(&config, &stores, client_id).await?, now)
            }
            ClientsCommand::Remove { client_id, .. } => {
                let about = client_id.clone();
                let text = remove(&config, &stores, client_id, now).await?;
                record(&config, &stores, vec![done("clients remove", about)]).await?;
                text
            }
        };
        Ok(io::stdout().write_all(text.as_bytes())?)
    })
}

async fn find(config: &Config, stores: &Stores, client_id: String) -> anyhow::Result<Client> {
    let id = ClientId::from_text(client_id);
    if let Some(client) = configured(config, &id) {
        return Ok(client.clone());
    }
    match stores.clients.find_client(&id).await? {
        Some(client) => Ok(client),
        None if id.is_url() => {
            bail!(
                "{id} is the URL of a metadata document: it is read when it is needed, nothing of it is stored"
            )
        }
        None => bail!("there is no client {id}: `portunus clients list` shows those there are"),
    }
}

fn configured<'a>(config: &'a Config, id: &ClientId) -> Option<&'a Client> {
    config.clients.configured.iter().find(|client| client.id == *id)
}

async fn remove(
    config: &Config,
    stores: &Stores,
    client_id: String,
    now: Timestamp,
) -> anyhow::Result<String> {
    let id = ClientId::from_text(client_id);
    let deletion = stores.clients.delete_client(&id, now).await?;
    let grants = format!("{} revoked", counted(deletion.grants_revoked, "grant"));
    if deletion.was_there {
        return Ok(format!("{id} is deleted; {grants}.\n"));
    }
    if configured(config, &id).is_some() {
        return Ok(format!(
            "{grants}. {id} stands in config.yaml: take it out there, or it gets new ones.\n"
        ));
    }
    if id.is_url() {
        let domains =
            "clients.metadata_documents.domains in config.yaml says whose documents are accepted";
        return Ok(format!("{grants}. {id} may come again: {domains}.\n"));
    }
    if deletion.grants_revoked > 0 {
        return Ok(format!("{id} was gone already; {grants}.\n"));
    }
    bail!("there is no client {id}: `portunus clients list` shows those there are")
}

fn list(config: &Config, registered: &[Client], now: Timestamp) -> String {
    let heading = ["CLIENT ID", "NAME", "KIND", "BACK TO", "SINCE", "LAST USED"].map(str::to_owned);
    let rows = config.clients.configured.iter().chain(registered).map(|client| row(client, now));
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

fn row(client: &Client, now: Timestamp) -> [String; 6] {
    let is_registered = client.source == ClientSource::Registered;
    let back_to = match &client.redirect_uris[..] {
        [] => "-".to_owned(),
        [only] => only.recipient().to_string(),
        [first, more @ ..] => format!("{} +{}", first.recipient(), more.len()),
    };
    [
        client.id.to_string(),
        shortened(&visible(client.display_name())),
        kind(client).to_owned(),
        visible(&back_to),
        if is_registered { day(client.created_at, now) } else { "-".to_owned() },
        if is_registered {
            client.last_used_at.map_or_else(|| "never".to_owned(), |then| day(then, now))
        } else {
            "-".to_owned()
        },
    ]
}

const fn kind(client: &Client) -> &'static str {
    match client.source {
        ClientSource::Registered => "registered",
        ClientSource::MetadataDocument => "document",
        ClientSource::Configured => "configured",
    }
}

fn shortened(name: &str) -> String {
    const LONGEST: usize = 40;
    if name.chars().count() <= LONGEST {
        name.to_owned()
    } else {
        name.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

fn show(client: &Client, now: Timestamp) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<18}{}", visible(&value));
        }
    };
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    line("client ID", client.id.to_string());
    line("name", optional(&client.name));
    line("kind", kind(client).to_owned());
    line(
        "application type",
        client.application_type.map(ApplicationType::as_str).unwrap_or_default().to_owned(),
    );
    for uri in &client.redirect_uris {
        line("back to", uri.to_string());
    }
    line("proves itself by", client.auth_method.as_str().to_owned());
    line(
        "keys",
        match &client.keys {
            None => String::new(),
            Some(ClientKeys::Remote(uri)) => uri.clone(),
            Some(ClientKeys::Inline(set)) => {
                format!("{} given", set["keys"].as_array().map_or(0, Vec::len))
            }
        },
    );
    line(
        "grant types",
        client.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(", "),
    );
    line(
        "scopes",
        client.scopes.as_ref().map_or_else(|| "every one there is".to_owned(), ToString::to_string),
    );
    line("groups", client.groups.join(", "));
    line("trusted", if client.trusted { "yes".to_owned() } else { String::new() });
    line("contacts", client.contacts.join(", "));
    line("page", optional(&client.client_uri));
    line("policy", optional(&client.policy_uri));
    line("terms", optional(&client.tos_uri));
    line("logo", optional(&client.logo_uri));
    let software = [&client.software_id, &client.software_version].into_iter().flatten().cloned();
    line("software", software.collect::<Vec<_>>().join(" "));
    if client.source == ClientSource::Registered {
        line("registered", day(client.created_at, now));
        line(
            "last used",
            client.last_used_at.map_or_else(|| "never".to_owned(), |then| day(then, now)),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use portunus_core::redirect::RedirectUri;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_772_539_200);

    fn client() -> Client {
        let redirect_uris = ["com.evil.app://claude.ai/cb", "http://127.0.0.1:1/cb"]
            .map(|uri| RedirectUri::parse(uri).unwrap())
            .to_vec();
        Client {
            name: Some("Cur\u{1b}[31ms\u{200b}or\u{202e}".to_owned()),
            redirect_uris,
            ..Client::new(ClientId::from_text("id"), NOW)
        }
    }

    #[test]
    fn t13_a_name_does_not_steer_the_terminal() {
        assert_eq!(
            row(&client(), NOW),
            [
                "id",
                "Cur\u{fffd}[31ms\u{fffd}or\u{fffd}",
                "registered",
                "com.evil.app: +1",
                "today",
                "never"
            ]
        );
        let shown = show(&client(), NOW);
        assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{shown:?}");
        assert!(shown.contains("back to           http://127.0.0.1:1/cb\n"), "{shown}");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shortened(&"x".repeat(41)), format!("{}…", "x".repeat(39)));
        assert_eq!(shortened(&"x".repeat(40)), "x".repeat(40));
    }
}
