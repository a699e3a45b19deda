//! Landlock: what the kernel can do, and the ruleset of a program. What it is made of is documented
//! in `docs/security.md`.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, Scope, path_beneath_rules,
};

use crate::sandbox::{Confine, Landlock};

/// The newest that this file was written for and tried with: what later kernels can do besides is
/// not asked of them.
const ABI_KNOWN: ABI = ABI::V7;

/// Readable and executable for every confined program: the system's programs and libraries, and
/// what the C library and TLS libraries read from `/etc`. Not all of `/etc`, `/proc` or `/run`: the
/// configuration of a gateway may be there, and the arguments of other processes are.
const READABLE: [&str; 48] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/run/systemd/resolve",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/self",
    "/proc/stat",
    "/proc/sys",
    "/proc/uptime",
    "/proc/version",
    "/sys/devices/system",
];
/// The same for these, which may be written too: they keep nothing.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The paths that a confined program may read without being told so.
pub fn implicitly_readable() -> &'static [&'static str] {
    &READABLE
}

/// What the running kernel can restrict.
pub fn landlock() -> Landlock {
    Landlock {
        files: can(|ruleset| ruleset.handle_access(AccessFs::from_all(ABI::V1))),
        ports: can(|ruleset| ruleset.handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)),
        scopes: can(|ruleset| ruleset.scope(Scope::Signal | Scope::AbstractUnixSocket)),
    }
}

fn can(ask: impl FnOnce(Ruleset) -> Result<Ruleset, RulesetError>) -> bool {
    ask(Ruleset::default().set_compatibility(CompatLevel::HardRequirement))
        .and_then(Ruleset::create)
        .is_ok()
}

/// The ruleset of a program, made before its user changes so that every path can be opened. Every
/// program has a domain of its own where the kernel can do that without restricting anything else:
/// it can then neither signal processes outside of it (the gateway, its supervisor, other servers')
/// nor trace them, and so not read their memory and variables (threat 52).
pub(super) fn prepare(
    confine: Option<&Confine>,
    program: Option<&Path>,
) -> Result<Option<RulesetCreated>, String> {
    let kernel = landlock();
    let unsupported = confine.and_then(|confine| kernel.supports(confine).err());
    match (unsupported, confine) {
        (Some(missing), Some(confine)) if confine.if_possible => {
            eprintln!("not confined as configured: {missing}");
        }
        (Some(missing), _) => {
            return Err(format!("{missing}; `confine_if_possible: true` starts it all the same"));
        }
        (None, _) => {}
    }
    ruleset(kernel, confine, program).map_err(|error| error.0)
}

/// Why there is no ruleset.
struct Refused(String);

impl From<RulesetError> for Refused {
    fn from(error: RulesetError) -> Self {
        Self(format!("Landlock: {error}"))
    }
}

fn ruleset(
    kernel: Landlock,
    confine: Option<&Confine>,
    program: Option<&Path>,
) -> Result<Option<RulesetCreated>, Refused> {
    let connect = confine.and_then(|confine| confine.connect.as_ref()).filter(|_| kernel.ports);
    if !kernel.scopes && (confine.is_none() || !kernel.files) {
        return Ok(None);
    }
    let mut ruleset = Ruleset::default();
    if kernel.scopes {
        ruleset = ruleset.scope(Scope::Signal)?;
    }
    if confine.is_some() && kernel.scopes {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    if confine.is_some() && kernel.files {
        ruleset = ruleset.handle_access(AccessFs::from_all(ABI_KNOWN))?;
    }
    if connect.is_some() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)?;
    }
    let mut ruleset = ruleset.create()?;
    if let Some(confine) = confine.filter(|_| kernel.files) {
        ruleset = with_files(ruleset, confine, program)?;
    }
    for port in connect.into_iter().flatten() {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(Some(ruleset))
}

fn with_files(
    ruleset: RulesetCreated,
    confine: &Confine,
    program: Option<&Path>,
) -> Result<RulesetCreated, Refused> {
    let (read, write) = (AccessFs::from_read(ABI_KNOWN), AccessFs::from_all(ABI_KNOWN));
    let on_devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let mut ruleset = ruleset
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(DEVICES, on_devices))?
        .add_rules(path_beneath_rules(program, read))?;
    for (paths, access, key) in [(&confine.read, read, "read"), (&confine.write, write, "write")] {
        for path in paths {
            ruleset = ruleset.add_rule(below(path, access, key)?)?;
        }
    }
    Ok(ruleset)
}

fn below(
    path: &str,
    access: BitFlags<AccessFs>,
    key: &str,
) -> Result<PathBeneath<PathFd>, Refused> {
    let is_folder = std::fs::metadata(path)
        .map_err(|error| Refused(format!("`confine.{key}`: {path}: {error}")))?
        .is_dir();
    let file = PathFd::new(path).map_err(|error| Refused(format!("`confine.{key}`: {error}")))?;
    let access = if is_folder { access } else { access & AccessFs::from_file(ABI_KNOWN) };
    Ok(PathBeneath::new(file, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t52_nothing_that_is_implied_holds_a_gateways_secrets() {
        for usual in [
            "/etc/portunus/.env",
            "/etc/portunus/config.yaml",
            "/etc/shadow",
            "/etc/ssl/private/key.pem",
            "/run/secrets/auth_secret",
            "/run/credentials/portunus.service/auth_secret",
            "/var/lib/portunus/portunus.sqlite",
            "/srv/portunus/mcp.sqlite",
            "/root",
            "/proc/1/environ",
            "/proc/1/cmdline",
            "/tmp/x",
            "/dev/shm/x",
            "/dev/sda",
            "/opt/portunus/.env",
        ] {
            let implied =
                READABLE.iter().chain(&DEVICES).find(|path| Path::new(usual).starts_with(path));
            assert_eq!(implied, None, "{usual}");
        }
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let refused =
            below("/no/such/folder", AccessFs::from_read(ABI_KNOWN), "read").err().unwrap();
        assert!(
            refused.0.contains("confine.read") && refused.0.contains("/no/such/folder"),
            "{}",
            refused.0
        );
    }
}
