//! What must hold for every input, one function for each surface that strangers write to. The fuzz
//! targets in `fuzz_targets/` and `crates/gateway/tests/properties.rs` run the same functions.
#![expect(clippy::expect_used, reason = "what is expected here is made of constants")]

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use portunus::config::{Config, ConfigArgs, Files, ReadFile, Sources};
use portunus_core::{
    Timestamp,
    client::{Client, GrantType},
    entropy::SeededEntropy,
    ids::ServerName,
    oauth::{
        assertion, authorize,
        client_metadata::ClientMetadata,
        document::{self, DocumentUrl},
        header,
        manage::UpdateRequest,
        params::Params,
        register, token,
    },
    redirect::{RedirectUri, Schemes},
    resource::{PublicUrl, Resources},
};
use portunus_mcp::wire::{self, Message, Outcome, Response, WireError};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// Splits the input at its first line break: two texts from one input.
fn halves(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\n')
}

fn resources() -> Resources {
    let servers = ["dice", "uuid"]
        .into_iter()
        .filter_map(|name| ServerName::parse(name).ok())
        .collect::<Vec<_>>();
    let url = PublicUrl::parse("https://gw.example").expect("a constant");
    Resources::new(url, &servers, &["/mcp/legacy/".to_owned()])
}

fn client(metadata: &str) -> Option<Client> {
    let metadata: ClientMetadata = ClientMetadata::parse(metadata.as_bytes()).ok()?;
    register::register(metadata, &Schemes::default(), NOW, &SeededEntropy::new(1))
        .ok()
        .map(|registration| registration.client)
}

/// A redirect URI that is admitted differs from the registered one in its port at most, and never
/// leads elsewhere.
pub(crate) fn redirect_uri(data: &[u8]) {
    let Some((registered, presented)) = halves(data) else { return };
    let Ok(registered) = RedirectUri::parse(registered) else { return };
    assert!(registered.admits(registered.as_str()), "a registered URI admits itself");
    assert!(registered.as_str().is_ascii());
    if registered.admits(presented) {
        let Ok(presented) = RedirectUri::parse(presented) else {
            panic!("what is admitted could have been registered")
        };
        assert_eq!(registered.recipient(), presented.recipient());
        assert_eq!(registered.is_local(), presented.is_local());
        if registered.as_str() != presented.as_str() {
            assert!(
                presented.is_local() && presented.as_str().starts_with("http://"),
                "only loopback ports vary"
            );
        }
    }
}

/// Every parameter has one value, whichever way its name is spelt.
pub(crate) fn form(data: &[u8]) {
    let Ok(params) = Params::parse(data) else { return };
    for name in ["client_id", "state", "redirect_uri", "code", "scope"] {
        if let Some(value) = params.find(name) {
            let twice = [data, b"&", name.as_bytes(), b"=", value.as_bytes()].concat();
            assert!(Params::parse(&twice).is_err(), "a second {name} is refused");
        }
    }
}

/// Whatever registers has redirect URIs that may be registered, and pages of its own on https
/// alone.
pub(crate) fn client_metadata(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(client) = client(text) else { return };
    assert!(!client.redirect_uris.is_empty());
    assert!(client.redirect_uris.iter().all(|uri| RedirectUri::parse(uri.as_str()).is_ok()));
    assert!(
        client.may_use(GrantType::AuthorizationCode)
            || client.may_use(GrantType::ClientCredentials)
    );
    for page in [&client.client_uri, &client.logo_uri, &client.policy_uri, &client.tos_uri]
        .into_iter()
        .flatten()
    {
        assert!(
            page.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")),
            "{page}"
        );
    }
    assert!(!client.id.as_str().contains("://"), "threat 29");
}

/// A document that makes a client says its own address, holds no secret, and registers only what
/// could be registered.
pub(crate) fn metadata_document(data: &[u8]) {
    let Some((url, json)) = halves(data) else { return };
    let Ok(url) = DocumentUrl::parse(url) else { return };
    let (authority, path) = url
        .as_str()
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
        .expect("https, with a path");
    assert!(!authority.contains(['@', '\\', '?', '#']) && !path.contains('#'), "{}", url.as_str());
    let Ok(client) = document::client_of(&url, json.as_bytes(), NOW, &Schemes::default()) else {
        return;
    };
    assert_eq!(client.id.as_str(), url.as_str(), "threat 29");
    assert!(client.secret.is_none() && !client.redirect_uris.is_empty());
    assert!(client.redirect_uris.iter().all(|uri| RedirectUri::parse(uri.as_str()).is_ok()));
}

/// An update of a registration and a client's signed assertion are read or refused.
pub(crate) fn json_bodies(data: &[u8]) {
    let _ = UpdateRequest::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = assertion::claimed_client(text);
    }
}

/// A sound authorization request names a registered redirect URI, a resource and scopes of ours;
/// every answer to it starts with that redirect URI.
pub(crate) fn authorization_request(data: &[u8]) {
    let Some(client) = client(
        r#"{"redirect_uris":["https://app.example/cb","http://127.0.0.1/cb","com.example.app:/cb?x=1"]}"#,
    ) else {
        panic!("the client is sound")
    };
    let Ok(params) = Params::parse(data) else { return };
    let Ok(address) = authorize::return_address(&params, &client) else { return };
    assert!(client.redirect_uris.iter().any(|uri| uri.admits(address.redirect_uri.as_str())));
    let resources = resources();
    match authorize::check(&params, &client, address.clone(), &resources) {
        Ok(request) => {
            for resource in request.resources.iter() {
                assert!(resources.target(resource).is_some());
                assert!(request.scopes.intersection(&resources.scopes(resource)).gives_access());
            }
        }
        Err(error) => {
            let Some(redirect) = authorize::error_redirect(&address, &error, "https://gw.example")
            else {
                assert!(
                    address.redirect_uri.is_private_use(),
                    "the web and this computer are told"
                );
                return;
            };
            assert!(redirect.starts_with(address.redirect_uri.as_str()));
            assert!(!redirect.contains(['\r', '\n']));
        }
    }
}

/// A form without the client's secret proves nothing for a client that has one.
pub(crate) fn token_request(data: &[u8]) {
    let Some(client) = client(r#"{"redirect_uris":["https://app.example/cb"]}"#) else {
        panic!("the client is sound")
    };
    let Ok(params) = Params::parse(data) else { return };
    let Ok(credentials) = token::credentials(None, &params) else { return };
    assert!(token::authenticate(Some(client), &credentials).is_err());
}

/// Headers of any bytes are read or refused; a token that is read stands in the header letter for
/// letter.
pub(crate) fn authorization_header(data: &[u8]) {
    if let Ok(token) = header::bearer(data) {
        assert!(String::from_utf8_lossy(data).contains(token.expose()));
    }
    let _ = header::basic(data);
}

/// No token of a stranger's making verifies, whatever keys it brings along.
pub(crate) fn jwt(data: &[u8]) {
    let Some((token, keys)) = halves(data) else { return };
    assert!(portunus_identity::refuses(token, keys.as_bytes(), NOW), "nobody signed this");
}

struct OneFile<'a> {
    name: &'static str,
    content: &'a [u8],
}

impl Files for OneFile<'_> {
    fn read(&self, path: &Path) -> io::Result<ReadFile> {
        if path.ends_with(self.name) {
            Ok(ReadFile::plain(self.content.to_vec()))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

fn inspect(name: &'static str, content: &[u8]) {
    const SECRET: &str = "ThisSecretIsNeverShownToAnybody-0123456789";
    let file = PathBuf::from(name);
    let is_yaml = name.ends_with("yaml");
    let args = ConfigArgs {
        config: is_yaml.then(|| file.clone()),
        mcp_config: (!is_yaml).then_some(file),
        envfile: None,
    };
    let env = BTreeMap::from([("AUTH_SECRET".to_owned(), SECRET.to_owned())]);
    let inspected = Config::inspect(&Sources {
        args,
        env,
        cwd: PathBuf::from("/"),
        files: &OneFile { name, content },
    });
    let shown = format!("{}{:?}", inspected.mistakes, inspected.draft);
    if !String::from_utf8_lossy(content).contains("AUTH_SECRET") {
        assert!(!shown.contains(SECRET), "threat 48");
    }
}

/// Any `config.yaml` is read, or its mistakes are named; no secret is shown.
pub(crate) fn config_yaml(data: &[u8]) {
    inspect("config.yaml", data);
}

/// Any `mcp.json` is read, or its mistakes are named; no secret is shown.
pub(crate) fn mcp_json(data: &[u8]) {
    inspect("mcp.json", data);
}

/// A message that is read, be it a request, a notification, a result or an error, can be written
/// again and is the same; its payload is the bytes that came. What is refused is refused with a
/// code of JSON-RPC, in an answer that can be read and does not grow with the message.
pub(crate) fn wire(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let message = match wire::parse(&bytes) {
        Ok(message) => message,
        Err(error) => return refused(&error),
    };
    let (again, payload) = match &message {
        Message::Request(request) => {
            let written = wire::request(&request.id, &request.method, request.params.as_ref());
            (written, request.params.as_ref())
        }
        Message::Notification(notification) => (
            wire::notification(&notification.method, notification.params.as_ref()),
            notification.params.as_ref(),
        ),
        Message::Response(Response { id, outcome: Outcome::Result(result) }) => {
            let id = id.as_ref().expect("a result says whose it is");
            (wire::result(id, result), Some(result))
        }
        Message::Response(Response { id, outcome: Outcome::Error(error) }) => {
            (wire::error_raw(id.as_ref(), error), Some(error))
        }
    };
    assert_eq!(wire::parse(&again).as_ref(), Ok(&message), "what was written is what was read");
    if let Some(payload) = payload {
        let (whole, part) = (bytes.as_ptr_range(), payload.as_bytes().as_ptr_range());
        assert!(
            whole.start <= part.start && part.end <= whole.end,
            "a payload is a slice of its message"
        );
    }
}

fn refused(error: &WireError) {
    const CODES: [i64; 3] =
        [wire::code::PARSE_ERROR, wire::code::INVALID_REQUEST, wire::code::INVALID_PARAMS];
    assert!(CODES.contains(&error.code()), "{error:?}");
    let text = error.to_string();
    assert!(text.len() < 512 && !text.contains(char::is_control), "{text}");
    let answer = wire::parse(&wire::error(None, error.code(), &text, None));
    assert!(
        matches!(answer, Ok(Message::Response(Response { id: None, outcome: Outcome::Error(_) }))),
        "{answer:?}"
    );
}
