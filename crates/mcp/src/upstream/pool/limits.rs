//! The limits of the pool: connections and children, in total and for one person (threat 47). Which
//! connection is closed to make room is decided next door, in [`super::lifecycle`].

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use portunus_core::ids::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::options::Options;
use crate::{sync::locked, upstream::owner::ConnectionKey};

pub(super) struct ConnectionLimits {
    connections: Arc<Semaphore>,
    children: Arc<Semaphore>,
    shares: Shares,
    max_share: AtomicUsize,
    /// Shares of connections, children included.
    connection_shares: Shares,
    max_connection_share: usize,
}

/// How many each person has. Persons without any are not in the map.
type Shares = Arc<Mutex<HashMap<UserId, usize>>>;

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// The person has as many children as one may have.
    Share,
    /// The person has as many connections as one may have.
    ConnectionShare,
    Pool,
}

/// A connection's part of the limits, given back when dropped.
pub(super) struct Permit {
    _connection: OwnedSemaphorePermit,
    _child: Option<OwnedSemaphorePermit>,
    _share: Option<Share>,
    _connection_share: Option<Share>,
}

struct Share {
    shares: Shares,
    user: UserId,
}

impl ConnectionLimits {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(options.max_connections)),
            children: Arc::new(Semaphore::new(options.max_children)),
            shares: Shares::default(),
            max_share: AtomicUsize::new(options.max_children_per_user),
            connection_shares: Shares::default(),
            max_connection_share: options.max_connections_per_user,
        }
    }

    /// How many children one person may have.
    pub(super) fn max_share(&self) -> usize {
        self.max_share.load(Ordering::Relaxed)
    }

    /// Sets how many children one person may have. Those that are there already stay.
    pub(super) fn set_max_share(&self, most: usize) {
        self.max_share.store(most, Ordering::Relaxed);
    }

    pub(super) fn take(&self, key: &ConnectionKey, is_child: bool) -> Result<Permit, LimitReached> {
        let share = key
            .owner
            .user()
            .filter(|_| is_child)
            .map(|user| share_of(&self.shares, user, self.max_share()))
            .transpose();
        let share = share.map_err(|()| LimitReached::Share)?;
        let of_connections =
            |user| share_of(&self.connection_shares, user, self.max_connection_share);
        let connection_share = key
            .owner
            .user()
            .map(of_connections)
            .transpose()
            .map_err(|()| LimitReached::ConnectionShare)?;
        let full = |_| LimitReached::Pool;
        let connection = Arc::clone(&self.connections).try_acquire_owned().map_err(full)?;
        let child = is_child
            .then(|| Arc::clone(&self.children).try_acquire_owned())
            .transpose()
            .map_err(full)?;
        Ok(Permit {
            _connection: connection,
            _child: child,
            _share: share,
            _connection_share: connection_share,
        })
    }
}

fn share_of(shares: &Shares, user: &UserId, most: usize) -> Result<Share, ()> {
    let mut held = locked(shares);
    let taken = held.get(user).copied().unwrap_or_default();
    if taken >= most {
        return Err(());
    }
    held.insert(user.clone(), taken + 1);
    drop(held);
    Ok(Share { shares: Arc::clone(shares), user: user.clone() })
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = locked(&self.shares);
        match shares.get_mut(&self.user) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => drop(shares.remove(&self.user)),
        }
    }
}
