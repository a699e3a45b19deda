//! The part of the gateway's environment that a child process gets: a short list of variables
//! (threat 44). The server's own variables come from `mcp.json` and are added next door, in
//! [`super::process`].

use std::ffi::{OsStr, OsString};

use crate::sandbox::RunAs;

/// Variables that programs need to find their files, and that never hold a secret.
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
    // Paths of certificates.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    // Caches of npx, uvx and the like.
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "npm_config_cache",
    "NPM_CONFIG_CACHE",
    "UV_CACHE_DIR",
    "PIP_CACHE_DIR",
];

/// Those of them that are about the system and not about the gateway's user.
const OF_THE_SYSTEM: [&str; 11] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
];

/// Those of `all` that a child gets. A child that runs as another user gets that user's values in
/// place of those of the gateway's user.
pub(super) fn allowed(
    all: impl Iterator<Item = (OsString, OsString)>,
    run_as: Option<&RunAs>,
) -> impl Iterator<Item = (OsString, OsString)> {
    let list: &[&str] = if run_as.is_some() { &OF_THE_SYSTEM } else { &ALLOWED };
    let own = run_as.map(|user| {
        [("HOME", &user.home), ("USER", &user.login), ("LOGNAME", &user.login)]
            .map(|(name, value)| (name.into(), value.into()))
    });
    all.filter(|(name, _)| list.iter().any(|allowed| name.as_os_str() == OsStr::new(allowed)))
        .chain(own.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t44_only_the_list_passes() {
        let all = ["PATH", "AUTH_SECRET", "HOME", "AWS_SECRET_ACCESS_KEY", "path", "PATH_X"]
            .map(|n| (n.into(), "v".into()));
        let names: Vec<_> = allowed(all.into_iter(), None).map(|(name, _)| name).collect();
        assert_eq!(names, ["PATH", "HOME"]);
    }

    #[test]
    fn t52_another_user_gets_nothing_that_is_about_the_gateways() {
        let user = RunAs {
            name: "7:1".to_owned(),
            login: "tools".to_owned(),
            uid: 7,
            gid: 1,
            groups: Vec::new(),
            home: "/srv/tools".to_owned(),
        };
        let all = ALLOWED.map(|name| (name.into(), "the-gateways".into()));
        let given: Vec<(OsString, OsString)> = allowed(all.into_iter(), Some(&user)).collect();
        for (name, value) in &given {
            let is_known =
                OF_THE_SYSTEM.iter().any(|of_system| name.as_os_str() == OsStr::new(of_system));
            assert!(is_known || value != "the-gateways", "{name:?}");
        }
        for (name, value) in [("HOME", "/srv/tools"), ("USER", "tools"), ("LOGNAME", "tools")] {
            assert!(given.contains(&(name.into(), value.into())), "{name}");
        }
        assert_eq!(given.iter().filter(|(name, _)| name == "HOME").count(), 1);
    }
}
