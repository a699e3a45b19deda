//! What the program of a stdio server may do on this machine: words of the configuration. They are
//! applied in [`crate::child`].

use portunus_core::settings::{Section, Setting, ValueType};
use serde::{Deserialize, Serialize};

/// The restrictions of a server's program beyond those that every child process has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The user it runs as; without, the gateway's own.
    pub run_as: Option<RunAs>,
    /// What it may open and connect to; without, whatever its user may.
    pub confine: Option<Confine>,
}

/// A user of this machine, looked up when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// As the configuration has it.
    pub name: String,
    /// The values of USER and LOGNAME.
    pub login: String,
    pub uid: u32,
    pub gid: u32,
    /// All groups the program is in beside `gid`: none when the configuration names a group.
    pub groups: Vec<u32>,
    /// The value of HOME.
    pub home: String,
}

/// A Landlock sandbox (<https://docs.kernel.org/userspace-api/landlock.html>). Beside what is named
/// here, the system's own programs and libraries are readable ([`crate::child`] has the list); no
/// other file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confine {
    /// Files and folders that may be read and executed. Absolute.
    pub read: Vec<String>,
    /// Files and folders that may be read, executed, changed, created and removed. Absolute.
    pub write: Vec<String>,
    /// TCP ports that may be connected to, and then none may be listened on. `None`: the network is
    /// not restricted.
    pub connect: Option<Vec<u16>>,
    /// On a kernel that cannot do all of it the program starts with what the kernel can do.
    pub if_possible: bool,
}

/// How [`Confine`] is written.
pub const CONFINE: Section = Section::new(
    "What a confined program may open and connect to",
    &[
        Setting::new(
            "read",
            ValueType::List(&ValueType::Text),
            "Files and folders that it may read and execute",
        ).details("Beside the system's programs and libraries ([the list](security.md#what-confine-does))")
        .default("none"),
        Setting::new(
            "write",
            ValueType::List(&ValueType::Text),
            "Files and folders that it may read, execute, change, create and remove",
        )
        .default("none"),
        Setting::new(
            "connect",
            ValueType::List(&ValueType::Count),
            "TCP ports that it may connect to; it may then listen on none. [] is none at all",
        )
        .default("the network is not restricted"),
    ],
);

/// What the running kernel can restrict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Landlock {
    /// Files: ABI 1, Linux 5.13.
    pub files: bool,
    /// TCP ports: ABI 4, Linux 6.7.
    pub ports: bool,
    /// Signals and abstract sockets: ABI 6, Linux 6.12.
    pub scopes: bool,
}

/// What a confinement needs and the kernel has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error(
        "this kernel has no Landlock, which `confine` needs (Linux 5.13 or later, with `landlock` among its security modules)"
    )]
    Files,
    #[error("this kernel's Landlock knows no ports, which `connect` needs (Linux 6.7 or later)")]
    Ports,
}

impl Landlock {
    /// Can the kernel do all that `confine` asks for?
    pub fn supports(self, confine: &Confine) -> Result<(), Unsupported> {
        match confine.connect {
            _ if !self.files => Err(Unsupported::Files),
            Some(_) if !self.ports => Err(Unsupported::Ports),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t52_what_a_kernel_must_be_able_to_do() {
        let (none, files, all) = (
            Landlock::default(),
            Landlock { files: true, ..Landlock::default() },
            Landlock { files: true, ports: true, scopes: true },
        );
        let plain = Confine::default();
        let ports = |list: &[u16]| Confine { connect: Some(list.to_vec()), ..Confine::default() };
        for (kernel, confine, expected) in [
            (none, &plain, Err(Unsupported::Files)),
            (none, &ports(&[443]), Err(Unsupported::Files)),
            (files, &plain, Ok(())),
            (files, &ports(&[443]), Err(Unsupported::Ports)),
            (files, &ports(&[]), Err(Unsupported::Ports)),
            (all, &plain, Ok(())),
            (all, &ports(&[443]), Ok(())),
            (all, &ports(&[]), Ok(())),
        ] {
            assert_eq!(kernel.supports(confine), expected, "{kernel:?} {confine:?}");
        }
    }
}
