//! How a connection is made: to a single server, to the master that sentinels name, or to a
//! Cluster; and what can be done over one as it stands. Who keeps it and makes it anew is
//! [`super::connection`].

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo as _,
    Pipeline, RedisConnectionInfo, RedisError, RedisResult, TlsMode, Value,
    aio::{MultiplexedConnection, PubSub},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
    },
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

use super::{
    address::{RedisAddress, Topology},
    failure::ends_connection,
};

/// After this long a caller is told that the store is unavailable. The write may have happened.
///
/// A gateway is to be ready two seconds after a fail-over (F1), and a call that began just before
/// it waits for all of this.
pub(super) const PATIENCE: Duration = Duration::from_millis(1500);
/// How long a connection may take to be made: less, so that a call after a break has time left.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_millis(1100);
/// How a connection is made.
pub(super) enum Dial {
    Single(Client),
    Sentinel { address: RedisAddress },
    Cluster(Box<ClusterClient>),
}

impl Dial {
    pub(super) fn new(address: &RedisAddress) -> RedisResult<Self> {
        let info = |addr: ConnectionAddr| {
            Ok::<_, RedisError>(addr.into_connection_info()?.set_redis_settings(settings(address)))
        };
        Ok(match address.topology {
            Topology::Single => {
                let host =
                    nodes(address).next().ok_or((ErrorKind::InvalidClientConfig, "no host"))?;
                Self::Single(Client::open(info(host)?)?)
            }
            Topology::Sentinel { .. } => Self::Sentinel { address: address.clone() },
            Topology::Cluster => {
                let nodes = nodes(address).map(info).collect::<Result<Vec<_>, _>>()?;
                // Redirections are retries. A call that was sent twice is answered the same, or its
                // second half is refused: the scripts see to that.
                let builder = ClusterClientBuilder::new(nodes)
                    .retries(4)
                    .min_retry_wait(10)
                    .max_retry_wait(200)
                    .connection_timeout(CONNECT_PATIENCE)
                    .response_timeout(PATIENCE);
                Self::Cluster(Box::new(builder.build()?))
            }
        })
    }

    pub(super) async fn connect(&self) -> RedisResult<Wire> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Ok(match self {
            Self::Single(client) => {
                Wire::Node(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinel { address } => {
                // Made anew each time: the sentinels are asked again, and say where the master is
                // now.
                let mut client = sentinel(address)?.build()?;
                Wire::Node(client.get_async_connection_with_config(&config).await?)
            }
            Self::Cluster(client) => Wire::Cluster(client.get_async_connection().await?),
        })
    }
}

/// How long one host may take to let a subscriber in.
const HOST_WITHIN: Duration = Duration::from_millis(400);

/// A connection that only listens: to the server, to the master that the sentinels name, or to
/// whichever node of a Cluster answers.
pub(super) async fn subscriber(address: &RedisAddress) -> RedisResult<PubSub> {
    if let Topology::Sentinel { .. } = address.topology {
        return sentinel(address)?.build()?.async_get_client().await?.get_async_pubsub().await;
    }
    let mut outcome = Err((ErrorKind::InvalidClientConfig, "no host").into());
    for host in nodes(address) {
        let info = host.into_connection_info()?.set_redis_settings(settings(address));
        let client = Client::open(info)?;
        // One that does not answer at all must not use up the time of those after it.
        outcome = tokio::time::timeout(HOST_WITHIN, client.get_async_pubsub())
            .await
            .unwrap_or_else(|_| Err((ErrorKind::Io, "no answer in time").into()));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn settings(address: &RedisAddress) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default()
        .set_db(address.database)
        .set_lib_name("portunus", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &address.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &address.password {
        settings = settings.set_password(password.expose());
    }
    settings
}

fn nodes(address: &RedisAddress) -> impl Iterator<Item = ConnectionAddr> {
    address.hosts.iter().map(|(host, port)| {
        if address.tls {
            ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        }
    })
}

fn sentinel(address: &RedisAddress) -> RedisResult<SentinelClientBuilder> {
    let Topology::Sentinel { master, user, password } = &address.topology else {
        return Err((ErrorKind::InvalidClientConfig, "no sentinels").into());
    };
    let mut builder =
        SentinelClientBuilder::new(nodes(address), master, SentinelServerType::Master)?
            .set_client_to_redis_db(address.database);
    if address.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = &address.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &address.password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if let Some(user) = user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_sentinel_password(password.expose());
    }
    Ok(builder)
}

/// The task behind a Cluster's connection has ended.
fn is_closed(error: &RedisError) -> bool {
    error.is_io_error() && error.to_string().contains("redis_cluster")
}

/// One of the servers that keep keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Master {
    Only,
    At { host: String, port: u16 },
}

impl Master {
    fn parse(address: &str) -> RedisResult<Self> {
        let parsed = address.rsplit_once(':').and_then(|(host, port)| {
            Some(Self::At { host: host.to_owned(), port: port.parse().ok()? })
        });
        parsed.ok_or_else(|| (ErrorKind::UnexpectedReturnType, "an address of a master").into())
    }
}

/// A connection as it stands: cheap to clone, all clones share it.
#[derive(Clone)]
pub(super) enum Wire {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    /// Is it of no more use after this error? A Cluster's mends itself, node by node: one that
    /// hangs must not take the others along.
    pub(super) fn ends_with(&self, error: &RedisError) -> bool {
        match self {
            Self::Node(_) => ends_connection(error),
            Self::Cluster(_) => {
                error.kind() == ErrorKind::ClusterConnectionNotFound || is_closed(error)
            }
        }
    }

    pub(super) async fn send(&mut self, key: &str, pipeline: Pipeline) -> RedisResult<Vec<Value>> {
        let count = pipeline.len();
        match self {
            Self::Node(node) => node.send_packed_commands(&pipeline, 0, count).await,
            Self::Cluster(cluster) => {
                let node =
                    SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                cluster.route_pipeline(pipeline, 0, count, node).await
            }
        }
    }

    /// The masters of a Cluster by their addresses; a single server is the only one.
    pub(super) async fn masters(self) -> RedisResult<Vec<Master>> {
        let Self::Cluster(mut cluster) = self else { return Ok(vec![Master::Only]) };
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let Value::Map(answers) = cluster.route_command(redis::cmd("PING"), masters).await? else {
            return Err((ErrorKind::UnexpectedReturnType, "masters without addresses").into());
        };
        let mut masters = Vec::with_capacity(answers.len());
        for (address, answer) in answers {
            answer.extract_error()?;
            masters.push(Master::parse(&redis::from_redis_value::<String>(address)?)?);
        }
        masters.sort();
        Ok(masters)
    }

    pub(super) async fn ask(&mut self, master: &Master, command: Cmd) -> RedisResult<Value> {
        match (self, master) {
            (Self::Cluster(cluster), Master::At { host, port }) => {
                let node = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                cluster.route_command(command, RoutingInfo::SingleNode(node)).await?.extract_error()
            }
            (Self::Node(node), Master::Only) => {
                node.send_packed_command(&command).await?.extract_error()
            }
            _ => Err((ErrorKind::Client, "a master of another kind of Redis").into()),
        }
    }

    pub(super) async fn ask_masters(self, command: Cmd) -> RedisResult<Vec<Value>> {
        match self {
            Self::Node(mut node) => {
                Ok(vec![node.send_packed_command(&command).await?.extract_error()?])
            }
            Self::Cluster(mut cluster) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                match cluster.route_command(command, masters).await? {
                    Value::Map(answers) => {
                        answers.into_iter().map(|(_, answer)| answer.extract_error()).collect()
                    }
                    answer => Ok(vec![answer.extract_error()?]),
                }
            }
        }
    }
}
