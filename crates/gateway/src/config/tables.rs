//! Every key of `config.yaml` and `mcp.json`, with the variables that set the same: the one table
//! that the parser, the JSON Schemas and the tests of the documentation go by.

mod clients;

use self::clients::CLIENTS;
use super::shape::{Field, Shape, Table};

/// `config.yaml`.
pub(super) const CONFIG: Table = Table {
    doc: "Portunus: config.yaml. Every key is optional; a variable of the environment wins over the file.",
    one_of: &[],
    fields: &[
        Field::new("$schema", Shape::Text, "Where this schema is, for editors; not read"),
        Field::new(
            "public_url",
            Shape::Text,
            "Where people and clients reach the gateway, such as https://mcp.acme.com. Default: http://localhost:{port}",
        )
        .variables(&["BASE_URL", "PUBLIC_URL"]),
        Field::new("listen", Shape::Text, "Address and port to listen on. Default: 0.0.0.0:3000 (HOST and PORT set the parts)"),
        Field::new("tls", Shape::Table(&TLS), "The gateway's own certificate, if nothing in front of it ends TLS"),
        Field::new(
            "auth_secret",
            Shape::Secret,
            "The secret all keys are derived from: 32 bytes at least, from `openssl rand -base64 33`",
        )
        .variables(&["AUTH_SECRET"]),
        Field::new("auth_secret_file", Shape::Text, "A file that holds auth_secret").variables(&["AUTH_SECRET_FILE"]),
        Field::new("auth_secret_previous", Shape::Secret, "The secret before, while what it sealed is still in use")
            .variables(&["AUTH_SECRET_PREVIOUS"]),
        Field::new("auth_secret_previous_file", Shape::Text, "A file that holds auth_secret_previous")
            .variables(&["AUTH_SECRET_PREVIOUS_FILE"]),
        Field::new(
            "provider_ca_file",
            Shape::Text,
            "A PEM file with the authorities that signed the identity providers' certificates, if this machine does not trust them",
        )
        .variables(&["PROVIDER_CA_FILE"]),
        Field::new(
            "providers",
            Shape::List(&Shape::Table(&PROVIDER)),
            "Identity providers people sign in at, in the order shown",
        ),
        Field::new("proxies", Shape::List(&Shape::Table(&PROXY)), "Guarded reverse-proxy routes"),
        Field::new(
            "scopes",
            Shape::List(&Shape::Table(&SCOPE)),
            "Scopes of parts of servers, beside `mcp` and the names of the servers",
        ),
        Field::new("clients", Shape::Table(&CLIENTS), "OAuth clients: how they may come to be, and those known beforehand"),
        Field::new("store", Shape::Table(&STORE), "Where sign-ins, grants and tokens are kept"),
        Field::new("cluster", Shape::Table(&CLUSTER), "Where other gateways on the same store reach this one"),
        Field::new(
            "stop_delay",
            Shape::Duration,
            "How long connections are still accepted after SIGTERM. Default: 5s with Redis, 0s with SQLite",
        )
        .variables(&["STOP_DELAY"]),
        Field::new("lifetimes", Shape::Table(&LIFETIMES), "How long things live: 30s, 60m, 12h, 30d"),
        Field::new(
            "names",
            Shape::Choice(NAMES),
            "How tools and prompts are named on /mcp: {server}_{name}, or as servers name them",
        ),
        Field::new(
            "pinning",
            Shape::Choice(PINNINGS),
            "What happens to tools that change: held until approved (enforce, the default), told of in the log (warn), nothing (off)",
        ),
        Field::new("allowed_origins", Shape::List(&Shape::Text), "Origins, beside our own, whose pages may call the gateway"),
        Field::new(
            "allowed_hosts",
            Shape::List(&Shape::Text),
            "Host headers, beside the public URL's, to accept: host or host:port",
        ),
        Field::new("trusted_proxies", Shape::List(&Shape::Text), "Addresses or ranges (10.0.0.0/8) whose X-Forwarded-* counts"),
        Field::new("log", Shape::Table(&LOG), "How much is logged, and how"),
        Field::new(
            "limits",
            Shape::Table(&LIMITS),
            "How much a request may take, and how many requests one address may make: 60/m, 1000/10m, unlimited",
        ),
    ],
};

/// The word of `allow` for no rule at all.
pub(super) const ANYONE: &str = "anyone";
pub(super) const NAMES: &[&str] = &["prefixed", "plain"];
pub(super) const PINNINGS: &[&str] = &["off", "warn", "enforce"];
pub(super) const PRESETS: &[&str] = &[
    "okta",
    "google",
    "azure-ad",
    "microsoft-entra-id",
    "auth0",
    "keycloak",
    "github",
    "gitlab",
    "oidc",
];
pub(super) const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "off"];
pub(super) const FORMATS: &[&str] = &["json", "text"];

const PROVIDER: Table = Table {
    doc: "An identity provider",
    one_of: &[],
    fields: &[
        Field::new(
            "name",
            Shape::Text,
            "Its name in /auth/callback/{name}: small letters, digits, `-`. Default: the preset's",
        ),
        Field::new(
            "preset",
            Shape::Choice(PRESETS),
            "Which kind it is. Default: by its name, else oidc",
        ),
        Field::new(
            "issuer",
            Shape::Text,
            "Its issuer, such as https://acme.okta.com or https://acme.okta.com/oauth2/default",
        ),
        Field::new(
            "internal_url",
            Shape::Text,
            "Where this gateway reaches it, if not at the issuer's address: http://keycloak:8080. Browsers and tokens keep to the issuer",
        ),
        Field::new(
            "tenant_id",
            Shape::Text,
            "Microsoft Entra ID: the tenant, in place of the issuer",
        ),
        Field::new("client_id", Shape::Text, "The client ID of the application registered there"),
        Field::new("client_secret", Shape::Secret, "Its client secret"),
        Field::new("client_secret_file", Shape::Text, "A file that holds client_secret"),
        Field::new(
            "scopes",
            Shape::List(&Shape::Text),
            "Scopes to ask for in place of the preset's",
        ),
        Field::new("groups_claim", Shape::Text, "The claim that lists groups. Default: groups"),
        Field::new("label", Shape::Text, "What the sign-in page calls it"),
        Field::new(
            "redirect_uri",
            Shape::Text,
            "The callback registered there, if it is {public_url}/auth/callback",
        ),
        Field::new(
            "allow",
            Shape::WordOr(&[ANYONE], &ALLOW),
            "Who may sign in: those that fit any of the lists; or `anyone`. Needed where anyone can have an account. Default: every account",
        ),
    ],
};

const ALLOW: Table = Table {
    doc: "Who may sign in: an account that fits any of the lists",
    one_of: &[],
    fields: &[
        Field::new(
            "domains",
            Shape::List(&Shape::Text),
            "Domains of verified e-mail addresses, at Google of its Workspace accounts: acme.com, without those below it",
        ),
        Field::new(
            "groups",
            Shape::List(&Shape::Text),
            "Groups, as the provider spells them: engineering, at GitLab acme/platform",
        ),
        Field::new(
            "organisations",
            Shape::List(&Shape::Text),
            "GitHub: organisations and teams: acme, acme/platform",
        ),
        Field::new("organizations", Shape::List(&Shape::Text), "The same in another spelling"),
        Field::new(
            "people",
            Shape::List(&Shape::Text),
            "Single accounts, by verified e-mail address, or by what the provider calls them (sub)",
        ),
    ],
};

const PROXY: Table = Table {
    doc: "Requests below `pattern` go to `target_url`, the pattern stripped",
    one_of: &[],
    fields: &[
        Field::new(
            "pattern",
            Shape::Text,
            "A path that starts and ends with a slash, such as /mcp/dice/",
        )
        .required(),
        Field::new(
            "target_url",
            Shape::Text,
            "An http or https URL without a trailing slash, such as http://localhost:3000",
        )
        .required(),
        Field::new(
            "pass_headers",
            Shape::List(&Shape::Text),
            "Headers of clients to pass on beside those that always are: names such as X-Acme-Tenant, or the start of one and a *: X-Acme-*",
        ),
    ],
};

const SCOPE: Table = Table {
    doc: "A scope that clients may ask for and people may grant",
    one_of: &[],
    fields: &[
        Field::new("name", Shape::Text, "The scope, such as github:read").required(),
        Field::new(
            "description",
            Shape::Text,
            "What it means, in words for the person who is asked",
        )
        .required(),
        Field::new("server", Shape::Text, "The server of mcp.json that the patterns are about"),
        Field::new(
            "tools",
            Shape::List(&Shape::Text),
            "Tools by the server's own names; * stands for any characters: get_*",
        ),
        Field::new("prompts", Shape::List(&Shape::Text), "Prompts, in the same way"),
        Field::new(
            "resources",
            Shape::List(&Shape::Text),
            "URIs of resources, in the same way: repo://*",
        ),
        Field::new(
            "includes",
            Shape::List(&Shape::Text),
            "Other scopes and servers that this one implies",
        ),
        Field::new(
            "ask_first",
            Shape::Flag,
            "Clients without a token are told to ask for this, not for the whole server",
        ),
    ],
};

const STORE: Table = Table {
    doc: "One of the two",
    one_of: &["sqlite", "redis"],
    fields: &[
        Field::new("sqlite", Shape::Table(&SQLITE), "A file of this machine: the default"),
        Field::new("redis", Shape::Table(&REDIS), "Redis or Valkey, shared by several gateways"),
    ],
};

const CLUSTER: Table = Table {
    doc: "Other gateways on the same store",
    one_of: &[],
    fields: &[
        Field::new(
            "listen",
            Shape::Text,
            "Address and port on a network that only the gateways are on, such as 10.0.0.5:7946. Default: the address that Redis is reached \
             from, and any free port",
        )
        .variables(&["CLUSTER_LISTEN"]),
        Field::new("url", Shape::Text, "How the others reach it, if not at that address: http://gateway-1.internal:7946")
            .variables(&["CLUSTER_URL"]),
    ],
};

const TLS: Table = Table {
    doc: "The gateway's own certificate; both files are followed when they change",
    one_of: &[],
    fields: &[
        Field::new(
            "certificate_file",
            Shape::Text,
            "The certificate and those that vouch for it, as PEM",
        )
        .variables(&["TLS_CERTIFICATE_FILE"]),
        Field::new("key_file", Shape::Text, "Its private key, as PEM").variables(&["TLS_KEY_FILE"]),
    ],
};

const SQLITE: Table = Table {
    doc: "SQLite",
    one_of: &[],
    fields: &[
        Field::new("path", Shape::Text, "The file. Default: ./mcp.sqlite").variables(&["DB_PATH"])
    ],
};

const REDIS: Table = Table {
    doc: "Redis or Valkey",
    one_of: &[],
    fields: &[
        Field::new(
            "url",
            Shape::Secret,
            "redis://host:6379/0, rediss:// for TLS; redis+cluster://a:6379,b:6379; redis+sentinel://a:26379/mymaster",
        )
        .variables(&["REDIS_URL"]),
        Field::new("password", Shape::Secret, "The password, if it does not stand in the URL").variables(&["KVS_PASSWORD"]),
        Field::new("password_file", Shape::Text, "A file that holds the password").variables(&["KVS_PASSWORD_FILE"]),
        Field::new("prefix", Shape::Text, "What the name of every key begins with. Default: portunus"),
        Field::new(
            "replicas",
            Shape::Count,
            "How many replicas must have a write before it counts. Default: none, a write counts when the master has it",
        ),
    ],
};

const LIFETIMES: Table = Table {
    doc: "How long things live",
    one_of: &[],
    fields: &[
        Field::new(
            "access_token",
            Shape::Duration,
            "An access token. Default: 60m (TOKEN_EXPIRATION_TIME, in milliseconds, wins)",
        ),
        Field::new(
            "refresh_token",
            Shape::Duration,
            "A refresh token, from each use anew. Default: 30d",
        ),
        Field::new(
            "refresh_grace",
            Shape::Duration,
            "How long a used refresh token still gives the current pair of tokens, wherever it comes from. Default: 30s",
        ),
        Field::new(
            "refresh_reuse",
            Shape::DurationOrOff,
            "How long it does so from the address that the pair was issued to: off, or up to 7d. Default: 24h",
        ),
        Field::new(
            "grant",
            Shape::Duration,
            "What a person allowed a client, whatever is refreshed in between. Default: 90d",
        ),
        Field::new("authorization_code", Shape::Duration, "An authorization code. Default: 5m"),
        Field::new("sign_in", Shape::Duration, "A sign-in in flight. Default: 10m"),
        Field::new("login", Shape::Duration, "A browser's login, from its sign-in. Default: 7d"),
        Field::new(
            "login_idle",
            Shape::Duration,
            "A browser's login, from its last use. Default: no such limit",
        ),
        Field::new(
            "unused_client",
            Shape::Duration,
            "A registered client that was never used. Default: 1d",
        ),
    ],
};

const LOG: Table = Table {
    doc: "The log, on standard error",
    one_of: &[],
    fields: &[
        Field::new("level", Shape::Choice(LEVELS), "Default: info").variables(&["LOG_LEVEL"]),
        Field::new(
            "format",
            Shape::Choice(FORMATS),
            "JSON lines, or text for people. Default: json",
        )
        .variables(&["LOG_FORMAT"]),
    ],
};

const LIMITS: Table = Table {
    doc: "How much a request may take, and how many one address may make",
    one_of: &[],
    fields: &[
        Field::new("body", Shape::Size, "The largest request body. Default: 4MiB"),
        Field::new(
            "calls_per_user",
            Shape::Count,
            "Calls of one person that may be at work at once. Default: 64",
        ),
        Field::new(
            "children_per_user",
            Shape::Count,
            "Server processes that one person may have at once. Default: 64",
        ),
        Field::new("registration", Shape::Rate, "Clients registered or managed. Default: 120/m"),
        Field::new("authorize", Shape::Rate, "Sign-ins and authorizations begun. Default: 300/m"),
        Field::new(
            "token",
            Shape::Rate,
            "Tokens exchanged, revoked or introspected. Default: 1200/m",
        ),
        Field::new("token_client", Shape::Rate, "The same, by one client there. Default: 300/m"),
        Field::new(
            "connections_per_address",
            Shape::Count,
            "Open connections of one address on which nobody has signed in yet. Default: 1024",
        ),
        Field::new(
            "connections_per_user",
            Shape::Count,
            "Open connections of one person. Default: 512",
        ),
        Field::new(
            "requests_per_address",
            Shape::Count,
            "Requests of one address under way that have not proven who asks. Default: 256",
        ),
        Field::new(
            "requests_per_user",
            Shape::Count,
            "Requests of one person under way, proxied ones included. Default: 128",
        ),
        Field::new(
            "bytes_per_user",
            Shape::Size,
            "Bytes of one person's messages that are kept at once. Default: 32MiB",
        ),
        Field::new(
            "sign_ins_per_address",
            Shape::Count,
            "Sign-ins and authorizations that one address has begun and not finished. Default: 1000",
        ),
        Field::new(
            "failures",
            Shape::Rate,
            "Wrong secrets, assertions and access tokens. Default: 120/m",
        ),
    ],
};

/// `mcp.json`.
pub(super) const MCP: Table = Table {
    doc: "Portunus: mcp.json, the MCP servers behind the gateway. Comments and trailing commas are allowed.",
    one_of: &["mcpServers", "servers"],
    fields: &[
        Field::new("$schema", Shape::Text, "Where this schema is, for editors; not read"),
        Field::new(
            "mcpServers",
            Shape::Map(&Shape::Table(&SERVER)),
            "The servers by name: letters, digits, `_`, `-`, `.`",
        ),
        Field::new("servers", Shape::Map(&Shape::Table(&SERVER)), "The same, as VS Code calls it"),
    ],
};

pub(super) const TYPES: &[&str] = &["stdio", "http", "streamable-http", "sse"];
pub(super) const ERAS: &[&str] = &["legacy", "modern"];
pub(super) const ISOLATIONS: &[&str] = &["user", "shared", "session"];

const CONFINE: Table = Table {
    doc: "What a confined program may open and connect to",
    one_of: &[],
    fields: &[
        Field::new(
            "read",
            Shape::List(&Shape::Text),
            "Files and folders that it may read and execute. Default: none",
        ),
        Field::new(
            "write",
            Shape::List(&Shape::Text),
            "Files and folders that it may read, execute, change, create and remove. Default: none",
        ),
        Field::new(
            "connect",
            Shape::List(&Shape::Count),
            "TCP ports that it may connect to; it may then listen on none. [] is none at all. Default: the network is not restricted",
        ),
    ],
};

/// What an entry of `mcp.json` may have.
pub(super) fn server_keys() -> Vec<&'static str> {
    SERVER.fields.iter().map(|field| field.name).collect()
}

const SERVER: Table = Table {
    doc: "An MCP server: a program to start (`command`), or an address (`url`)",
    one_of: &["command", "url"],
    fields: &[
        Field::new(
            "command",
            Shape::Text,
            "The program to start; it speaks MCP on standard input and output. No shell is involved",
        ),
        Field::new("args", Shape::List(&Shape::Text), "Its arguments"),
        Field::new(
            "env",
            Shape::Map(&Shape::Personal),
            "Its environment, beside PATH, HOME and a few others. `${user.sub}` and `${user.email}` are the person whose process it is",
        ),
        Field::new("cwd", Shape::Text, "The directory it is started in"),
        Field::new(
            "run_as",
            Shape::Text,
            "The user it runs as: user or user:group, by names or numbers. The gateway needs the right to change users. Default: the gateway's own",
        ),
        Field::new(
            "confine",
            Shape::Table(&CONFINE),
            "A Landlock sandbox: beside the system's programs and libraries it may open what is named here, and nothing else",
        ),
        Field::new(
            "confine_if_possible",
            Shape::Flag,
            "On a kernel that cannot do all that `confine` asks for: start it with what the kernel can do, with a warning. Default: false, an error",
        ),
        Field::new("url", Shape::Text, "The address of a server that speaks HTTP"),
        Field::new(
            "type",
            Shape::Choice(TYPES),
            "With url: http (Streamable HTTP, the default) or sse. With command: stdio",
        ),
        Field::new(
            "headers",
            Shape::Map(&Shape::Secret),
            "Headers to send with every request to the url",
        ),
        Field::new("disabled", Shape::Flag, "Leave this server out"),
        Field::new(
            "isolation",
            Shape::Choice(ISOLATIONS),
            "Who shares a connection to it. Default: user, one for each user",
        ),
        Field::new(
            "era",
            Shape::Choice(ERAS),
            "How it is greeted: legacy by `initialize`, modern by `server/discover` (MCP 2026-07-28). Default: that is found out and remembered",
        ),
        Field::new(
            "pinning",
            Shape::Choice(PINNINGS),
            "What happens to its tools when they change. Default: that of config.yaml",
        ),
        Field::new("request_timeout", Shape::Seconds, "Seconds a request may take. Default: 300"),
        Field::new(
            "connect_timeout",
            Shape::Seconds,
            "Seconds that starting or connecting may take. Default: 60",
        ),
        Field::new(
            "idle_timeout",
            Shape::Seconds,
            "Seconds after which an unused connection is closed. Default: 600",
        ),
    ],
};

/// The variables that set what stands at a path of `config.yaml`, such as `store.sqlite.path`.
pub(super) fn variables(path: &str) -> &'static [&'static str] {
    let mut table = &CONFIG;
    let mut variables: &[&str] = &[];
    for name in path.split('.') {
        let Some(field) = table.fields.iter().find(|field| field.name == name) else { return &[] };
        variables = field.variables;
        if let Shape::Table(inner) = field.shape {
            table = inner;
        }
    }
    variables
}
