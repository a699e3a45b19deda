//! Section: where things are kept.

use portunus_core::secret::SecretText;
use url::Url;

use super::{
    RedisSettings, StoreConfig,
    mistake::{Report, Where},
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
    let Some((url, at)) = redis else {
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
    with_password(url, &at, password, report).map_or(file, StoreConfig::Redis)
}

/// The address, from `REDIS_URL`, `KVS_ADDR` or `config.yaml`.
fn redis_url(raw: &Raw<'_>, report: &mut Report) -> Option<(Url, Where)> {
    let kvs = raw.variable(&["KVS_ADDR"], report);
    let url = raw.variable(&["REDIS_URL"], report);
    match (kvs, url) {
        (Some(kvs), Some(_)) => {
            report.mistake(kvs.at, "an address, while REDIS_URL gives one too", "KVS_ADDR or REDIS_URL, not both");
            None
        }
        (Some(Written { text, at, .. }), None) => {
            let parsed = Url::parse(&format!("redis://{text}")).ok();
            let fits = |url: &Url| {
                url.has_host() && matches!(url.path(), "" | "/") && url.username().is_empty() && url.query().is_none()
            };
            let parsed = parsed.filter(fits);
            if parsed.is_none() {
                report.mistake(
                    at.clone(),
                    format!("`{}`", without_credentials(&text)),
                    "a host and a port, such as localhost:6379",
                );
            }
            parsed.map(|url| (url, at))
        }
        (None, Some(url)) => parse_url(url, report),
        (None, None) => raw.setting("store.redis.url", report).and_then(|url| parse_url(url, report)),
    }
}

fn parse_url(Written { text, at, .. }: Written, report: &mut Report) -> Option<(Url, Where)> {
    let url = Url::parse(&text).ok().filter(|url| SCHEMES.contains(&url.scheme()) && url.has_host());
    if url.is_none() {
        report.mistake(at.clone(), format!("`{}`", without_credentials(&text)), REDIS_URL);
    }
    url.map(|url| (url, at))
}

fn with_password(mut url: Url, at: &Where, password: Option<WrittenSecret>, report: &mut Report) -> Option<RedisSettings> {
    if let Some(WrittenSecret { text, at: password_at }) = password {
        if url.password().is_some() {
            report.mistake(password_at, "a password, while the URL has one too", "one of the two");
        } else if url.set_password(Some(text.expose())).is_err() {
            report.mistake(at.clone(), "an address that cannot carry a password", REDIS_URL);
            return None;
        }
    }
    let mut address = url.clone();
    let cleared = address.set_password(None).and_then(|()| address.set_username(""));
    let address = if cleared.is_ok() { address.to_string() } else { "[redacted]".to_owned() };
    Some(RedisSettings { url: SecretText::new(url.as_str()), address })
}
