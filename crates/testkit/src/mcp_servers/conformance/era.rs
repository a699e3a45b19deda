//! Which revisions a server supports, and what makes a server of one era behave as if it had never
//! heard of the other: rmcp knows both and would say so. Where this is put around a server is in
//! [`super::serve`].

use std::{borrow::Cow, fmt, str::FromStr};

use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientJsonRpcMessage, ClientRequest, ErrorCode, GetMeta, ProtocolVersion,
        ServerJsonRpcMessage,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde_json::json;

/// Which revisions a server supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
    Both,
}

impl Era {
    pub(super) fn versions(self) -> Cow<'static, [ProtocolVersion]> {
        match self {
            Self::Legacy => {
                Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
            }
            Self::Modern => Cow::Borrowed(&[ProtocolVersion::V_2026_07_28]),
            Self::Both => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
        }
    }
}

impl FromStr for Era {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "legacy" => Ok(Self::Legacy),
            "modern" => Ok(Self::Modern),
            "both" => Ok(Self::Both),
            other => Err(format!("{other:?} is no era: expected legacy, modern or both")),
        }
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
            Self::Both => "both",
        })
    }
}

/// What a modern server says to `initialize`. It names what it supports: this may be all that a
/// legacy client can show its user.
pub(super) fn no_handshake() -> ErrorData {
    let data = json!({"supported": Era::Modern.versions()});
    ErrorData::new(
        ErrorCode::METHOD_NOT_FOUND,
        "There is no handshake; each request stands alone",
        Some(data),
    )
}

/// Over HTTP a legacy server knows a modern request by its version header, and refuses it with an
/// error that says nothing of eras: the sign by which clients know a legacy server.
pub(super) async fn refuse_modern(request: Request, next: Next) -> Response {
    let version =
        request.headers().get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    if version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28.as_str()) {
        let error = json!({"code": -32000, "message": "Bad Request: unsupported protocol version"});
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"jsonrpc": "2.0", "id": null, "error": error})),
        )
            .into_response();
    }
    next.run(request).await
}

/// A stdio connection to a server of one era. Requests of the other era are refused here, and the
/// connection stays open: rmcp would close it on a client that begins with the wrong one.
pub(super) struct OneEra<T> {
    era: Era,
    inner: T,
}

impl<T> OneEra<T> {
    pub(super) fn new(era: Era, inner: T) -> Self {
        Self { era, inner }
    }

    /// The error to answer with, if this is nothing for the server.
    fn refusal(&self, request: &mut ClientRequest) -> Option<ErrorData> {
        match (self.era, request) {
            (Era::Modern, ClientRequest::InitializeRequest(_)) => Some(no_handshake()),
            (Era::Legacy, ClientRequest::DiscoverRequest(_)) => {
                Some(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "Method not found", None))
            }
            (Era::Legacy, request) => {
                // To a legacy server this is a key like any other, and none it reads.
                request.get_meta_mut().remove("io.modelcontextprotocol/protocolVersion");
                None
            }
            _ => None,
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for OneEra<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        // bounded: ends with the client's messages.
        loop {
            let mut message = self.inner.receive().await?;
            let ClientJsonRpcMessage::Request(request) = &mut message else { return Some(message) };
            let Some(error) = self.refusal(&mut request.request) else { return Some(message) };
            // In a task of its own, because the caller may drop `receive` before it is done.
            tokio::spawn(
                self.inner.send(ServerJsonRpcMessage::error(error, Some(request.id.clone()))),
            );
        }
    }

    async fn close(&mut self) -> Result<(), T::Error> {
        self.inner.close().await
    }
}
