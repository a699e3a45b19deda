//! Section: where things are kept. What a URL of Redis may look like is read next to what dials it,
//! in [`portunus_store::redis::RedisAddress`].

use std::path::PathBuf;

use portunus_core::settings::{
    Count, Custom, Reader as _, Section, Setting, ValueType, count, custom,
};
use portunus_store::redis::{AddressError, RedisAddress, RedisOptions};

use super::{
    inputs::{Inputs, Written, WrittenSecret},
    mistake::Report,
    server::without_credentials,
};

pub(super) const STORE: Setting = Setting::new(
    "store",
    ValueType::Section(&SECTION),
    "Where sign-ins, grants and tokens are kept",
)
.needs_restart();

const SECTION: Section = Section::new(
    "One of the two",
    &[
        Setting::new("sqlite", ValueType::Section(&SQLITE), "A file of this machine: the default"),
        Setting::new(
            "redis",
            ValueType::Section(&REDIS),
            "Redis or Valkey, shared by several gateways",
        ),
    ],
)
.one_of(&["sqlite", "redis"]);

const SQLITE: Section = Section::new(
    "SQLite",
    &[Setting::new("path", ValueType::Text, "The file")
        .default(DEFAULT_PATH)
        .variables(&["DB_PATH"])],
);

const REDIS: Section = Section::new(
    "Redis or Valkey",
    &[
        Setting::new(
            "url",
            ValueType::Secret,
            "redis://host:6379/0, rediss:// for TLS; redis+cluster://a:6379,b:6379; redis+sentinel://a:26379/mymaster",
        ).details("See below")
        .variables(&["REDIS_URL"]),
        Setting::new(
            "password",
            ValueType::Secret,
            "The password, if it does not stand in the URL",
        )
        .variables(&["KVS_PASSWORD"]),
        Setting::new("password_file", ValueType::Text, "A file that holds the password")
            .variables(&["KVS_PASSWORD_FILE"]),
        PREFIX,
        REPLICAS,
    ],
);

const PREFIX: Setting =
    Setting::new("prefix", PREFIX_FORM.value_type(), "What the name of every key begins with")
        .details("Gateways with other prefixes keep apart in one Redis")
        .default("portunus");

const PREFIX_FORM: Custom<String> = custom(ValueType::Text, parse_prefix);

const REPLICAS: Setting = Setting::new(
    "replicas",
    REPLICAS_FORM.value_type(),
    "How many replicas must have a write before it counts",
)
.details("1 to 9")
.default("none, a write counts when the master has it");

/// More would be a mistake: a write waits for all of them.
const REPLICAS_FORM: Count<u32> = count().at_most(9);

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    Sqlite {
        path: PathBuf,
    },
    /// Its address holds the password, which never prints.
    Redis(RedisOptions),
}

const DEFAULT_PATH: &str = "./mcp.sqlite";
const REDIS_URL: &str = "such as redis://host:6379/0, rediss://user@host:6379 (TLS), or the same with redis+cluster:// or redis+sentinel://";
const LONGEST_PREFIX: usize = 64;

/// Redis when its address is given anywhere (a variable before `config.yaml`), else SQLite.
pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> StoreConfig {
    let sqlite = inputs.setting("store.sqlite.path", report);
    let path = inputs.cwd.join(sqlite.as_ref().map_or(DEFAULT_PATH, |path| &path.text));
    let file = StoreConfig::Sqlite { path: path.components().collect() };
    let redis = address(inputs, report);
    let password = inputs.secret("store.redis.password", report);
    let address = match redis {
        Given::Read(address) => address,
        Given::Mistaken => return file,
        Given::Not => {
            if let Some(WrittenSecret { at, .. }) = password {
                report.mistake(
                    at,
                    "a password without an address",
                    "KVS_ADDR=host:6379 or REDIS_URL=redis://host:6379 with it",
                );
            } else if let Some(item) = inputs.config.root().find_path("store.redis") {
                report.mistake(
                    item.at(),
                    "no `url`",
                    format!("`url`, {REDIS_URL}; or REDIS_URL in the environment"),
                );
            }
            return file;
        }
    };
    if let Some(Written { at, variable: Some(name), .. }) = sqlite {
        report.warning(at, format!("{name} is not used: the store is Redis"));
    }
    let mut options = RedisOptions::new(with_password(address, password, report));
    let mut section = inputs.section("store.redis", report);
    options.prefix = section.read(&PREFIX, &PREFIX_FORM).unwrap_or(options.prefix);
    options.replicas = section.read(&REPLICAS, &REPLICAS_FORM).unwrap_or(options.replicas);
    StoreConfig::Redis(options)
}

enum Given {
    Read(RedisAddress),
    /// It was given, and what is wrong with it has been reported.
    Mistaken,
    Not,
}

/// The address, from `REDIS_URL`, `KVS_ADDR` or `config.yaml`.
fn address(inputs: &Inputs<'_>, report: &mut Report) -> Given {
    let kvs = inputs.variable(&["KVS_ADDR"], report);
    let url = inputs.variable(&["REDIS_URL"], report);
    match (kvs, url) {
        (Some(kvs), Some(_)) => {
            report.mistake(
                kvs.at,
                "an address, while REDIS_URL gives one too",
                "KVS_ADDR or REDIS_URL, not both",
            );
            Given::Mistaken
        }
        (Some(kvs), None) => {
            let is_bare = !kvs.text.contains(['@', '/', '?', ',']);
            let address = if is_bare {
                RedisAddress::parse(&format!("redis://{}", kvs.text))
            } else {
                Err(AddressError(""))
            };
            read(
                &kvs,
                address.map_err(|_| AddressError("a host and a port, such as localhost:6379")),
                report,
            )
        }
        (None, Some(url)) => read(&url, RedisAddress::parse(&url.text), report),
        (None, None) => match inputs.setting("store.redis.url", report) {
            Some(url) => read(&url, RedisAddress::parse(&url.text), report),
            None => Given::Not,
        },
    }
}

fn read(
    Written { text, at, .. }: &Written,
    address: Result<RedisAddress, AddressError>,
    report: &mut Report,
) -> Given {
    match address {
        Ok(address) => Given::Read(address),
        Err(AddressError(expected)) => {
            report.mistake(at.clone(), format!("`{}`", without_credentials(text)), expected);
            Given::Mistaken
        }
    }
}

fn with_password(
    mut address: RedisAddress,
    password: Option<WrittenSecret>,
    report: &mut Report,
) -> RedisAddress {
    if let Some(WrittenSecret { text, at }) =
        password.filter(|password| !password.text.expose().is_empty())
    {
        if address.password.is_some() {
            report.mistake(at, "a password, while the URL has one too", "one of the two");
        } else {
            address.password = Some(text);
        }
    }
    address
}

/// A prefix stands before the hash tag of every key, so it must not hold one.
fn parse_prefix(text: &str) -> Result<String, String> {
    let fits = (1..=LONGEST_PREFIX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("letters, digits, `-`, `_`, `.` and `:`, {LONGEST_PREFIX} at most"))
    }
}
