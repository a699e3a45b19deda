//! Makes targets of the configuration: for a gateway, each with a task that follows the chain, and
//! for a command, once.

use std::{sync::Arc, time::Duration};

use portunus_core::{audit::ChainedRecord, store::AuditStore};
use tokio::task::JoinSet;

use super::{
    file,
    follower::Follower,
    otlp,
    state::Targets,
    syslog,
    target::{NotTaken, Target},
    told::Told,
};
use crate::{
    config::{AuditConfig, SinkTarget},
    net::NetError,
};

/// How long a command waits for its records to be handed on.
const COMMAND: Duration = Duration::from_secs(5);

/// Follows the chain for each target, until [`Targets::end`].
pub(in crate::audit) fn follow(
    targets: &Targets,
    store: &Arc<dyn AuditStore>,
    config: &AuditConfig,
    host: &str,
) -> JoinSet<()> {
    let mut followers = JoinSet::new();
    for state in &targets.0.states {
        let target: Option<Box<dyn Target>> = match state.name {
            "file" => config
                .file
                .clone()
                .map(|file| Box::new(file::Lines::new(file, config.rotate_bytes as u64)) as _),
            "syslog" => config
                .syslog
                .as_ref()
                .map(|syslog| Box::new(syslog::Syslog::new(syslog, host)) as _),
            _ => config.otlp.as_ref().and_then(|otlp| made(otlp::Otlp::new(otlp, host))),
        };
        if let Some(target) = target {
            let follower = Follower {
                state: Arc::clone(state),
                ends: targets.0.ends.subscribe(),
                store: Arc::clone(store),
                target,
                told: Told::default(),
            };
            followers.spawn(follower.run());
        }
    }
    followers
}

fn made(otlp: Result<otlp::Otlp, NetError>) -> Option<Box<dyn Target>> {
    otlp.map(|otlp| Box::new(otlp) as Box<dyn Target>)
        .inspect_err(|error| tracing::error!(%error, "audit records are not sent to audit.otlp"))
        .ok()
}

/// Hands on what a command recorded; what failed is said of each target. Standard output is the
/// command's own, and gets nothing.
pub(in crate::audit) async fn hand_on(
    records: &[ChainedRecord],
    config: &AuditConfig,
    host: &str,
) -> Vec<String> {
    let mut targets: Vec<(&str, Box<dyn Target>)> = Vec::new();
    if let Some(file @ SinkTarget::File(_)) = &config.file {
        targets.push(("audit.file", Box::new(file::Lines::beside(file.clone()))));
    }
    if let Some(syslog) = &config.syslog {
        targets.push(("audit.syslog", Box::new(syslog::Syslog::new(syslog, host))));
    }
    if let Some(otlp) = config.otlp.as_ref().and_then(|otlp| made(otlp::Otlp::new(otlp, host))) {
        targets.push(("audit.otlp", otlp));
    }
    let mut failed = Vec::new();
    for (name, mut target) in targets {
        let sending = async {
            let (mut left, mut refused) = (records, None);
            // bounded: one at least is taken each time.
            while !left.is_empty() {
                let taken = target.send(left).await?;
                left = left.get(taken.count.max(1)..).unwrap_or_default();
                refused = refused.or((taken.refused > 0).then_some(taken.why));
            }
            target.finish().await;
            refused.map_or(Ok(()), |why| Err(NotTaken::because(&why)))
        };
        match tokio::time::timeout(COMMAND, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(NotTaken { why, .. })) => failed.push(format!("{name}: {why}")),
            Err(_) => failed.push(format!("{name}: no answer within {} s", COMMAND.as_secs())),
        }
    }
    failed
}
