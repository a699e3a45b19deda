//! A connected client and the era it speaks. How it connects is in [`super::exercise_over`].

use std::{error::Error, fmt, str::FromStr};

use rmcp::{
    RoleClient,
    model::ProtocolVersion,
    service::{ClientLifecycleMode, RunningService},
};

use super::answering::{Answering, Heard};

/// The era of a client. It speaks no other: one that does not find a server of its era fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEra {
    /// 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl ClientEra {
    pub(super) fn version(self) -> ProtocolVersion {
        match self {
            Self::Legacy => ProtocolVersion::V_2025_11_25,
            Self::Modern => ProtocolVersion::V_2026_07_28,
        }
    }

    pub(super) fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Legacy => ClientLifecycleMode::Initialize,
            Self::Modern => {
                ClientLifecycleMode::Discover { preferred_versions: vec![self.version()] }
            }
        }
    }
}

impl FromStr for ClientEra {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "legacy" => Ok(Self::Legacy),
            "modern" => Ok(Self::Modern),
            other => Err(format!("{other:?} is no era: expected legacy or modern")),
        }
    }
}

impl fmt::Display for ClientEra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        })
    }
}

/// What went wrong, in words.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A connected client.
pub(super) struct Client {
    pub(super) era: ClientEra,
    pub(super) running: RunningService<RoleClient, Answering>,
    pub(super) heard: Heard,
}
