//! Section: where things are kept.

use portunus_core::secret::SecretText;
use url::Url;

use super::{
    RedisSettings, StoreConfig,
    mistake::Report,
    raw::{Raw, Written, WrittenSecret},
    server::without_credentials,
};

const DEFAULT_PATH: &str = "./mcp.sqlite";
const SCHEMES: [&str; 6] = ["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"];
const REDIS_URL: &str =
    "such as redis://host:6379/0, rediss://user@host:6379 (TLS), or the same with redis+cluster:// or redis+sentinel://";

/// Redis when its address is given anywhere (a variable before `config.yaml`), else SQLite.
pub(super) fn resolve(raw: &Raw<'_>, report: &mut Report) -> StoreConfig {
    let sqlite = raw.setting("store.sqlite.path", report);
    let path = raw.cwd.join(sqlite.as_ref().map_or(DEFAULT_PATH, |path| &path.text));
    let file = StoreConfig::Sqlite { path: path.components().collect() };
    let redis = redis_url(raw, report);
    let password = raw.secret("store.redis.password", report);
    let Some(address) = redis else {
        if let Some(WrittenSecret { at, .. }) = password {
            report.mistake(at, "a password without an address", "KVS_ADDR=host:6379 or REDIS_URL=redis://host:6379 with it");
        } else if let Some(item) = raw.config.root().find_path("store.redis") {
            report.mistake(item.at(), "no `url`", format!("`url`, {REDIS_URL}; or REDIS_URL in the environment"));
        }
        return file;
    };
    if let Some(Written { at, variable: Some(name), .. }) = sqlite {
        report.warning(at, format!("{name} is not used: the store is Redis"));
    }
    StoreConfig::Redis(with_password(address, password, report))
}

/// The address, from `REDIS_URL`, `KVS_ADDR` or `config.yaml`.
fn redis_url(raw: &Raw<'_>, report: &mut Report) -> Option<Address> {
    let kvs = raw.variable(&["KVS_ADDR"], report);
    let url = raw.variable(&["REDIS_URL"], report);
    match (kvs, url) {
        (Some(kvs), Some(_)) => {
            report.mistake(kvs.at, "an address, while REDIS_URL gives one too", "KVS_ADDR or REDIS_URL, not both");
            None
        }
        (Some(Written { text, at, .. }), None) => {
            let parsed =
                is_host(&text).then(|| Address { scheme: "redis".to_owned(), hosts: text.clone(), ..Address::default() });
            if parsed.is_none() {
                let found = format!("`{}`", without_credentials(&text));
                report.mistake(at, found, "a host and a port, such as localhost:6379");
            }
            parsed
        }
        (None, Some(url)) => parsed(url, report),
        (None, None) => raw.setting("store.redis.url", report).and_then(|url| parsed(url, report)),
    }
}

fn parsed(Written { text, at, .. }: Written, report: &mut Report) -> Option<Address> {
    let address = Address::parse(&text);
    if address.is_none() {
        report.mistake(at, format!("`{}`", without_credentials(&text)), REDIS_URL);
    }
    address
}

fn with_password(mut address: Address, password: Option<WrittenSecret>, report: &mut Report) -> RedisSettings {
    if let Some(WrittenSecret { text, at }) = password {
        if address.password.is_some() {
            report.mistake(at, "a password, while the URL has one too", "one of the two");
        } else {
            address.password =
                Some(url::form_urlencoded::byte_serialize(text.expose().as_bytes()).collect::<String>().replace('+', "%20"));
        }
    }
    RedisSettings { url: SecretText::new(address.url()), address: address.shown() }
}

/// A URL of Redis in its parts. Other than the URLs of the web it may name several hosts.
#[derive(Clone, Default)]
struct Address {
    scheme: String,
    user: String,
    /// Percent-encoded.
    password: Option<String>,
    /// `host:port`, with commas between several.
    hosts: String,
    /// The path, which names a database or the sentinels' master.
    path: String,
    query: String,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme))?;
        let (rest, query) = rest.split_once('?').map_or((rest, String::new()), |(rest, query)| (rest, format!("?{query}")));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = credentials.split_once(':').map_or((credentials, None), |(user, password)| (user, Some(password)));
        let is_several = hosts.contains(',');
        let fits = hosts.split(',').all(is_host) && (!is_several || scheme.contains('+')) && !text.contains(['#', ' ']);
        fits.then(|| Self {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            password: password.filter(|password| !password.is_empty()).map(str::to_owned),
            hosts: hosts.to_owned(),
            path: path.to_owned(),
            query,
        })
    }

    fn url(&self) -> String {
        let Self { scheme, user, password, hosts, path, query } = self;
        match password {
            Some(password) => format!("{scheme}://{user}:{password}@{hosts}{path}{query}"),
            None if user.is_empty() => format!("{scheme}://{hosts}{path}{query}"),
            None => format!("{scheme}://{user}@{hosts}{path}{query}"),
        }
    }

    /// Without what may be secret.
    fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme, self.hosts, self.path)
    }
}

/// `host`, `host:port` or `[address]:port`.
fn is_host(text: &str) -> bool {
    let url = Url::parse(&format!("redis://{text}")).ok();
    url.is_some_and(|url| url.has_host() && matches!(url.path(), "" | "/") && !text.contains(['@', '/', '?', '#']))
}
