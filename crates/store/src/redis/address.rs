//! The URL of Redis or Valkey: a single server, Sentinel, or a Cluster; with TLS or without; with
//! an ACL user or without. How it is dialled is [`super::connection`]'s.

use std::fmt;

use portunus_core::secret::SecretText;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What stands behind the hosts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server: `redis://host:6379/0`.
    Single,
    /// Sentinels that know where the master of this name is:
    /// `redis+sentinel://a:26379,b:26379/mymaster/0`.
    Sentinel { master: String, user: Option<String>, password: Option<SecretText> },
    /// Some nodes of a Cluster: `redis+cluster://a:7000,b:7000`.
    Cluster,
}

/// Where Redis is, and as whom to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub topology: Topology,
    pub tls: bool,
    pub hosts: Vec<(String, u16)>,
    pub user: Option<String>,
    pub password: Option<SecretText>,
    pub database: i64,
}

/// What is wrong with an address; the text says what was expected, and repeats nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(pub &'static str);

impl RedisAddress {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError(SCHEMES))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(AddressError(SCHEMES)),
        };
        let (topology, database) = match kind {
            "" if query.is_empty() => (Topology::Single, parse_database(path)?),
            "cluster" if query.is_empty() && path.is_empty() => (Topology::Cluster, 0),
            "sentinel" => parse_sentinel(path, query)?,
            "" => {
                return Err(AddressError(
                    "a host, a port and a database, and nothing after them: redis://host:6379/0",
                ));
            }
            "cluster" => {
                return Err(AddressError("nothing after the hosts: a Cluster has one database"));
            }
            _ => return Err(AddressError(SCHEMES)),
        };
        let port = if kind == "sentinel" { SENTINEL_PORT } else { PORT };
        let hosts =
            hosts.split(',').map(|host| parse_host(host, port)).collect::<Result<Vec<_>, _>>()?;
        if topology == Topology::Single && hosts.len() > 1 {
            return Err(AddressError(
                "one host; several are for redis+cluster:// and redis+sentinel://",
            ));
        }
        Ok(Self {
            topology,
            tls,
            hosts,
            user: decoded(user)?,
            password: decoded(password)?.map(SecretText::new),
            database,
        })
    }
}

/// Without what may be secret.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.topology {
            Topology::Single => "://",
            Topology::Sentinel { .. } => "+sentinel://",
            Topology::Cluster => "+cluster://",
        })?;
        for (at, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        match &self.topology {
            Topology::Single => write!(f, "/{}", self.database),
            Topology::Sentinel { master, .. } => write!(f, "/{master}/{}", self.database),
            Topology::Cluster => Ok(()),
        }
    }
}

const SCHEMES: &str = "redis://host:6379/0, redis+sentinel://host:26379/mymaster or redis+cluster://host:6379; rediss for TLS";

fn parse_database(path: &str) -> Result<i64, AddressError> {
    match path {
        "" => Ok(0),
        number => number.parse().ok().filter(|number| *number >= 0).ok_or(AddressError(
            "the number of a database after the host, such as redis://host:6379/0",
        )),
    }
}

fn parse_sentinel(path: &str, query: &str) -> Result<(Topology, i64), AddressError> {
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(AddressError(
            "the master's name after the sentinels: redis+sentinel://host:26379/mymaster",
        ));
    }
    let (mut user, mut password) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_user", value)) => user = decoded(value)?,
            Some(("sentinel_password", value)) => password = decoded(value)?.map(SecretText::new),
            _ => {
                return Err(AddressError(
                    "after the `?` only sentinel_user=… and sentinel_password=…, joined by `&`",
                ));
            }
        }
    }
    Ok((
        Topology::Sentinel { master: master.to_owned(), user, password },
        parse_database(database)?,
    ))
}

/// `host`, `host:port` or `[address]:port`.
fn parse_host(text: &str, port: u16) -> Result<(String, u16), AddressError> {
    const EXPECTED: AddressError = AddressError(
        "hosts such as localhost, localhost:6379 or [::1]:6379, with commas between them",
    );
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']').ok_or(EXPECTED)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(EXPECTED)?,
        None if rest.is_empty() => port,
        None => return Err(EXPECTED),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_address = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
    let fits =
        !host.is_empty() && (is_address || !text.starts_with('[') && host.bytes().all(is_name));
    if fits { Ok((host.to_owned(), port)) } else { Err(EXPECTED) }
}

/// Percent-decoded; `None` if there is nothing.
fn decoded(text: &str) -> Result<Option<String>, AddressError> {
    const EXPECTED: AddressError =
        AddressError("a user and a password in UTF-8, what is special in them written as %40");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or(EXPECTED)?;
            let digits = std::str::from_utf8(digits).map_err(|_| EXPECTED)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| EXPECTED)?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| EXPECTED)?;
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            ("redis://h", "redis://h:6379/0"),
            ("redis://h:1/3", "redis://h:1/3"),
            ("rediss://user:p%40ss@[::1]:6380", "rediss://[::1]:6380/0"),
            ("redis+cluster://a,b:2", "redis+cluster://a:6379,b:2"),
            (
                "rediss+sentinel://:pw@a,b:2/main/4?sentinel_password=x",
                "rediss+sentinel://a:26379,b:2/main/4",
            ),
        ];
        for (text, shown) in cases {
            assert_eq!(RedisAddress::parse(text).unwrap().to_string(), shown, "{text}");
        }
        let given = RedisAddress::parse("rediss://user:p%40ss%2F@h").unwrap();
        assert!(given.tls);
        assert_eq!(
            (given.user.as_deref(), given.password),
            (Some("user"), Some(SecretText::new("p@ss/")))
        );
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "h:6379",
            "http://h",
            "redis://",
            "redis://h:0",
            "redis://h:x",
            "redis://a,b",
            "redis://h/x",
            "redis://h/-1",
            "redis://h/0?a=b",
            "redis://::1",
            "redis://:%zz@h",
            "redis+cluster://a/1",
            "redis+sentinel://a",
            "redis+sentinel://a/m?master=b",
            "redis+other://a",
        ] {
            assert!(RedisAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn t48_an_address_prints_no_password() {
        let given = RedisAddress::parse("redis+sentinel://u:hunter2@h/m?sentinel_password=hunter3")
            .unwrap();
        assert!(!format!("{given:?} {given}").contains("hunter"));
    }
}
