//! What a child process sees of our environment: nothing but a short list (threat 44). Its own variables come from `mcp.json`.

use std::ffi::OsString;

/// What programs need to find their files, and nothing that is ever a secret.
const ALLOWED: [&str; 24] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    // Where certificates are.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    // Where npx, uvx and their like keep what they fetched.
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "npm_config_cache",
    "NPM_CONFIG_CACHE",
    "UV_CACHE_DIR",
    "PIP_CACHE_DIR",
];

/// Those of `all` that every child gets.
pub(super) fn allowed(all: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (OsString, OsString)> {
    all.filter(|(name, _)| ALLOWED.iter().any(|allowed| name == allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t44_only_the_list_passes() {
        let all = ["PATH", "AUTH_SECRET", "HOME", "AWS_SECRET_ACCESS_KEY", "path", "PATH_X"].map(|n| (n.into(), "v".into()));
        let names: Vec<_> = allowed(all.into_iter()).map(|(name, _)| name).collect();
        assert_eq!(names, ["PATH", "HOME"]);
    }
}
