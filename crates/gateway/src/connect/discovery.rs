//! Finds the authorization server of an MCP server: metadata of the resource, then of the server
//! that it names (MCP, authorization server discovery). Where documents are and which will do are
//! rules of `portunus_core::oauth_client::discovery`.

use portunus_core::oauth_client::{
    challenge::Challenge,
    discovery::{self, MAX_URL},
};
use serde_json::Value;
use url::Url;

use super::{
    error::{ConnectError, quoted},
    fetch::{Fetcher, place},
};

/// Where to sign in for a server, and for what.
#[derive(Debug)]
pub(super) struct Discovered {
    /// The value of `resource` (RFC 8707).
    pub(super) resource: String,
    pub(super) resource_scopes: Option<Vec<String>>,
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) registration_endpoint: Option<Url>,
    pub(super) server_scopes: Option<Vec<String>>,
    /// `token_endpoint_auth_methods_supported`.
    pub(super) methods: Option<Vec<String>>,
    /// `authorization_response_iss_parameter_supported`.
    pub(super) names_issuer: bool,
    pub(super) reads_documents: bool,
}

pub(super) async fn discover(
    fetcher: &Fetcher,
    server: &Url,
    challenge: &Challenge,
) -> Result<Discovered, ConnectError> {
    let found = match challenge.resource_metadata.as_deref().map(Url::parse) {
        Some(Ok(url)) => Some(fetcher.document(&url).await?.ok_or_else(|| {
            ConnectError::Metadata(format!("there is no metadata of the server at {}", place(&url)))
        })?),
        Some(Err(_)) => {
            return Err(ConnectError::Metadata(
                "the server names metadata at what is no URL".to_owned(),
            ));
        }
        None => first(fetcher, discovery::resource_metadata_urls(server)).await?,
    };
    // Before revision 2025-06-18 the server's own origin was the authorization server.
    let found = found.unwrap_or(Value::Null);
    let resource = match text(&found, "resource") {
        Some(resource) if resource.len() <= MAX_URL && discovery::covers(resource, server) => {
            resource.to_owned()
        }
        Some(resource) => {
            return Err(ConnectError::Metadata(format!(
                "the metadata at the server is for \"{}\", and not for {server}: no token is fetched for another resource. If both are the same server, give the first address",
                quoted(resource)
            )));
        }
        None => canonical(server),
    };
    let issuer = match texts(&found, "authorization_servers").unwrap_or_default().into_iter().next()
    {
        Some(issuer) => issuer,
        None => server.origin().ascii_serialization(),
    };
    let metadata = server_metadata(fetcher, &issuer).await?;
    let endpoint = |name: &str| {
        let url = text(&metadata, name).filter(|text| text.len() <= MAX_URL);
        url.and_then(|text| Url::parse(text).ok()).ok_or_else(|| {
            ConnectError::Metadata(format!("the metadata of {issuer} has no {name} that is a URL"))
        })
    };
    let supports_pkce = texts(&metadata, "code_challenge_methods_supported")
        .is_some_and(|methods| methods.iter().any(|method| method == "S256"));
    if !supports_pkce {
        return Err(ConnectError::Metadata(format!(
            "the authorization server {issuer} does not say that it supports PKCE with S256, and may not be used without"
        )));
    }
    Ok(Discovered {
        resource,
        resource_scopes: texts(&found, "scopes_supported"),
        authorization_endpoint: endpoint("authorization_endpoint")?,
        token_endpoint: endpoint("token_endpoint")?,
        registration_endpoint: endpoint("registration_endpoint").ok(),
        server_scopes: texts(&metadata, "scopes_supported"),
        methods: texts(&metadata, "token_endpoint_auth_methods_supported"),
        names_issuer: flag(&metadata, "authorization_response_iss_parameter_supported"),
        reads_documents: flag(&metadata, "client_id_metadata_document_supported"),
        issuer,
    })
}

/// The metadata whose issuer is this one (RFC 8414 section 3.3).
async fn server_metadata(fetcher: &Fetcher, issuer: &str) -> Result<Value, ConnectError> {
    let bad = || {
        ConnectError::Metadata(format!(
            "the server names \"{}\" as its authorization server, which is no URL",
            quoted(issuer)
        ))
    };
    if !discovery::is_issuer(issuer) {
        return Err(bad());
    }
    let url = Url::parse(issuer).map_err(|_| bad())?;
    let found = first(fetcher, discovery::server_metadata_urls(&url)).await?.ok_or_else(|| {
        ConnectError::Metadata(format!("{issuer} has no metadata of an authorization server"))
    })?;
    match text(&found, "issuer") {
        Some(named) if named == issuer => Ok(found),
        named => Err(ConnectError::Metadata(format!(
            "the metadata of {issuer} is for the issuer \"{}\": it is not used (RFC 8414 section 3.3)",
            quoted(named.unwrap_or_default())
        ))),
    }
}

/// The first of these documents that there is. One that cannot be had does not hide the next.
async fn first(fetcher: &Fetcher, urls: Vec<Url>) -> Result<Option<Value>, ConnectError> {
    let mut trouble = None;
    for url in urls {
        match fetcher.document(&url).await {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    trouble.map_or(Ok(None), Err)
}

/// Without a slash that says nothing (MCP, "Canonical Server URI").
fn canonical(server: &Url) -> String {
    let text = server.as_str();
    if server.path() == "/" && server.query().is_none() {
        text.trim_end_matches('/').to_owned()
    } else {
        text.to_owned()
    }
}

/// Members that are null, empty or of another type count as absent.
fn text<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    document.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn texts(document: &Value, name: &str) -> Option<Vec<String>> {
    let values = document.get(name)?.as_array()?;
    Some(values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
}

fn flag(document: &Value, name: &str) -> bool {
    document.get(name).and_then(Value::as_bool).unwrap_or(false)
}
