//! Schemes of well-known applications, and the addresses at which each of them takes an answer of
//! an authorization server. A table: one line for one application. What a redirect URI of these
//! schemes may be is decided in [`super`].

use crate::uri::StrictUri;

/// An application that opens addresses of a scheme of its own.
#[derive(Debug)]
struct AppScheme {
    scheme: &'static str,
    /// Host and path of each callback; `*` is one segment of a path.
    callbacks: &'static [(&'static str, &'static str)],
}

impl AppScheme {
    /// One whose callback is not known.
    const fn of(scheme: &'static str) -> Self {
        Self { scheme, callbacks: &[] }
    }
}

/// Editors open many things by their scheme: files, extensions, a prompt, the installation of a
/// server. An application whose callback is not known has an empty list, and is told of no error.
const APP_SCHEMES: [AppScheme; 46] = [
    AppScheme {
        scheme: "cursor",
        callbacks: &[
            ("anysphere.cursor-mcp", "/oauth/callback"),
            ("anysphere.cursor-retrieval", "/oauth/callback"),
            ("anysphere.cursor-retrieval", "/oauth/*/callback"),
        ],
    },
    AppScheme {
        scheme: "vscode",
        callbacks: &[("vscode.github-authentication", "/did-authenticate")],
    },
    AppScheme {
        scheme: "vscode-insiders",
        callbacks: &[("vscode.github-authentication", "/did-authenticate")],
    },
    AppScheme::of("windsurf"),
    AppScheme::of("amp"),
    AppScheme::of("antigravity"),
    AppScheme::of("anythingllm"),
    AppScheme::of("boltai"),
    AppScheme::of("bruno"),
    AppScheme::of("chatgpt"),
    AppScheme::of("chatwise"),
    AppScheme::of("cherrystudio"),
    AppScheme::of("claude"),
    AppScheme::of("code-oss"),
    AppScheme::of("codebuddy"),
    AppScheme::of("cursor-nightly"),
    AppScheme::of("deepchat"),
    AppScheme::of("dive"),
    AppScheme::of("factory"),
    AppScheme::of("fleet"),
    AppScheme::of("gemini"),
    AppScheme::of("goose"),
    AppScheme::of("insomnia"),
    AppScheme::of("jan"),
    AppScheme::of("jetbrains"),
    AppScheme::of("kiro"),
    AppScheme::of("librechat"),
    AppScheme::of("lmstudio"),
    AppScheme::of("mcpjam"),
    AppScheme::of("msty"),
    AppScheme::of("opencode"),
    AppScheme::of("pieces"),
    AppScheme::of("positron"),
    AppScheme::of("postman"),
    AppScheme::of("qoder"),
    AppScheme::of("raycast"),
    AppScheme::of("trae"),
    AppScheme::of("trae-cn"),
    AppScheme::of("void"),
    AppScheme::of("vscodium"),
    AppScheme::of("vscodium-insiders"),
    AppScheme::of("warp"),
    AppScheme::of("warppreview"),
    AppScheme::of("windsurf-next"),
    AppScheme::of("witsy"),
    AppScheme::of("zed"),
];

fn find(scheme: &str) -> Option<&'static AppScheme> {
    APP_SCHEMES.iter().find(|known| known.scheme == scheme)
}

/// Is the scheme one of a well-known application? RFC 8252 section 7.1 asks for a dot in it, and
/// these have none.
pub(super) fn is_known(scheme: &str) -> bool {
    find(scheme).is_some()
}

/// Is it the address at which the application expects an answer, and nothing more?
pub(super) fn is_callback(uri: &StrictUri<'_>) -> bool {
    let fits = |(host, path): &(&str, &str)| {
        let is_bare =
            uri.authority.is_some_and(|authority| authority.port.is_none()) && uri.query.is_none();
        is_bare && uri.host() == *host && fits_path(uri.path, path)
    };
    find(uri.scheme).is_some_and(|known| known.callbacks.iter().any(fits))
}

/// A `*` fits one segment of letters, digits, `-`, `_` and `.`.
fn fits_path(path: &str, pattern: &str) -> bool {
    let is_plain = |segment: &str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let (mut found, mut expected) = (path.split('/'), pattern.split('/'));
    loop {
        match (found.next(), expected.next()) {
            (None, None) => return true,
            (Some(segment), Some("*")) if is_plain(segment) => {}
            (Some(segment), Some(literal)) if segment == literal => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t59_callbacks_are_whole_addresses() {
        let cases = [
            ("cursor://anysphere.cursor-mcp/oauth/callback", true),
            ("cursor://anysphere.cursor-retrieval/oauth/user-acme/callback", true),
            ("vscode://vscode.github-authentication/did-authenticate", true),
            ("vscode-insiders://vscode.github-authentication/did-authenticate", true),
            ("cursor://anysphere.cursor-mcp/oauth/callback/", false),
            ("cursor://anysphere.cursor-mcp/oauth/callback?next=1", false),
            ("cursor://anysphere.cursor-mcp:1/oauth/callback", false),
            ("cursor://anysphere.cursor-mcp/oauth/callback/more", false),
            ("cursor://anysphere.cursor-mcp/oauth", false),
            ("cursor://anysphere.cursor-mcp", false),
            ("cursor:/oauth/callback", false),
            ("cursor://anysphere.cursor-retrieval/oauth//callback", false),
            ("cursor://anysphere.cursor-retrieval/oauth/a%2fb/callback", false),
            ("cursor://anysphere.cursor-deeplink/mcp/install", false),
            ("cursor://evil/anysphere.cursor-mcp/oauth/callback", false),
            ("vscode://anysphere.cursor-mcp/oauth/callback", false),
            ("vscode://file/etc/passwd", false),
            ("vscode://vscode.git/clone", false),
            ("windsurf://codeium.windsurf/callback", false),
            ("com.example.app:/oauth/callback", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_callback(&StrictUri::parse(text).unwrap()), expected, "{text}");
        }
    }
}
