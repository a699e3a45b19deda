//! Section: the MCP servers (`mcp.json`). The keys of a server are declared in
//! [`portunus_mcp::spec`].

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use portunus_core::{
    ids::ServerName,
    pins::Pinning,
    scope,
    secret::SecretText,
    settings::{Section, Setting, Settings as _, ValueType},
};
use portunus_mcp::{
    sandbox::Sandbox,
    spec::{EnvPart, EnvValue, Isolation, ServerSpec, TYPES, Transport},
};
use url::Url;

use super::{
    document::Item,
    expand::{Piece, pieces},
    inputs::{Inputs, Written, written},
    mistake::Report,
    pinning,
    placeholder::is_placeholder,
    sandbox,
    server::{OURSELVES, Server, without_credentials},
};

/// `mcp.json`.
pub(super) const MCP: Section = Section::new(
    "Portunus: mcp.json, the MCP servers behind the gateway. Comments and trailing commas are allowed.",
    &[
        Setting::new("$schema", ValueType::Text, "Where this schema is, for editors; not read"),
        Setting::new("mcpServers", SERVERS, "The servers by name: letters, digits, `_`, `-`, `.`"),
        Setting::new("servers", SERVERS, "The same, as VS Code calls it"),
    ],
)
.one_of(&["mcpServers", "servers"]);

const SERVERS: ValueType = ValueType::Map(&ValueType::Section(&ServerSpec::SECTION));

/// Headers that belong to the connection or to the protocol: the gateway writes them itself.
const OWN_HEADERS: [&str; 14] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What this section comes to.
#[derive(Default)]
pub(super) struct Servers {
    pub(super) enabled: Vec<ServerSpec>,
    pub(super) disabled: Vec<String>,
    /// Of those that say something about it.
    pub(super) pinning: BTreeMap<ServerName, Pinning>,
    /// All names, as written.
    pub(super) names: Vec<String>,
}

/// `own` is the gateway, which is none of its servers.
pub(super) fn resolve(inputs: &Inputs<'_>, own: &Server, report: &mut Report) -> Servers {
    let root = inputs.mcp.root();
    let mut servers = Servers::default();
    let entries = ["mcpServers", "servers"]
        .into_iter()
        .filter_map(|key| root.find(key))
        .flat_map(|item| item.entries());
    for (name, item) in entries {
        servers.names.push(name.to_owned());
        let pinned = pinning::of_server(inputs, &item, report);
        let spec = Reading { inputs, own, item: &item, report }.server(name);
        servers
            .pinning
            .extend(spec.as_ref().zip(pinned).map(|(spec, pinned)| (spec.name.clone(), pinned)));
        if written(item.find("disabled")).is_some_and(|disabled| disabled.text == "true") {
            servers.disabled.push(name.to_owned());
        } else {
            servers.enabled.extend(spec);
        }
    }
    servers
}

fn env_value(pieces: Vec<Piece>) -> EnvValue {
    let part = |piece| match piece {
        Piece::Text(text) => EnvPart::Text(SecretText::new(text)),
        Piece::Personal("user.email") => EnvPart::Email,
        Piece::Personal(_) => EnvPart::Subject,
    };
    EnvValue(pieces.into_iter().map(part).collect())
}

struct Reading<'a, 'r> {
    inputs: &'a Inputs<'a>,
    own: &'a Server,
    item: &'a Item<'a>,
    report: &'r mut Report,
}

impl Reading<'_, '_> {
    /// The server; `None` if it has no good name, or no way to reach it. Its other settings are
    /// looked at all the same, so that all that is wrong with it is told.
    fn server(mut self, text: &str) -> Option<ServerSpec> {
        let name = self.name(text);
        let transport = self.transport();
        let is_whole = name.is_some() && transport.is_some();
        let mut spec = ServerSpec::with_defaults(
            name.or_else(|| ServerName::parse("unnamed").ok())?,
            transport.unwrap_or_else(unreachable_server),
        );
        spec.read(&mut self.inputs.item(self.item, self.report));
        if spec.isolation == Isolation::Shared {
            self.without_persons(&spec.transport);
        }
        is_whole.then_some(spec)
    }

    fn name(&mut self, text: &str) -> Option<ServerName> {
        if [scope::MCP, scope::OFFLINE_ACCESS].contains(&text) {
            self.report.mistake(
                self.item.at(),
                format!("the server name `{text}`"),
                "another name: this one is a scope of the gateway",
            );
            return None;
        }
        let parsed = ServerName::parse(text);
        if parsed.is_err() {
            let expected = "a name of 1 to 64 letters, digits, `_`, `-` or `.`, not starting with a dot: it stands in /mcp/{name}";
            self.report.mistake(self.item.at(), format!("the server name `{text}`"), expected);
        }
        parsed.ok()
    }

    fn transport(&mut self) -> Option<Transport> {
        let kind = written(self.item.find("type"));
        let kind = kind.map(|kind| (kind.text.clone(), kind));
        match (written(self.item.find("command")), written(self.item.find("url"))) {
            (Some(command), None) => {
                if let Some((text, kind)) = kind
                    && text != "stdio"
                {
                    self.report.mistake(
                        kind.at,
                        format!("`{text}` with a command"),
                        "`stdio`, or no `type` at all",
                    );
                }
                self.without(&["headers"], "command");
                self.stdio(command)
            }
            (None, Some(url)) => {
                self.without(&["args", "cwd"], "url");
                self.without(&sandbox::KEYS, "url");
                if let Some(env) = self.item.find("env").filter(|env| !env.entries().is_empty()) {
                    self.report.warning(
                        env.at(),
                        "not used: a server with a url has an environment of its own",
                    );
                }
                self.remote(url, kind)
            }
            // The check of the file reports that exactly one of the two is needed.
            _ => None,
        }
    }

    /// Keys that mean nothing beside `other`.
    fn without(&mut self, keys: &[&str], other: &str) {
        for item in keys.iter().filter_map(|key| self.item.find(key)) {
            self.report.mistake(
                item.at(),
                format!("a value beside `{other}`"),
                format!("nothing: it has no meaning with `{other}`"),
            );
        }
    }

    fn stdio(&mut self, command: Written) -> Option<Transport> {
        let args = self.item.find("args").map(|args| args.items()).unwrap_or_default();
        let args: Vec<String> = args.iter().filter_map(Item::scalar).collect();
        if command.text.is_empty()
            || [&command.text].into_iter().chain(&args).any(|text| text.contains('\0'))
        {
            self.report.mistake(command.at, "no program", "the program to start, such as `npx`");
            return None;
        }
        if command.text.contains(' ') && args.is_empty() {
            let text = "a command with a space and no `args`: no shell splits it, so it must be the name of one program";
            self.report.warning(command.at, text);
        }
        let env = self.env();
        let cwd = written(self.item.find("cwd")).map(|cwd| self.inputs.cwd.join(cwd.text));
        let sandbox = sandbox::resolve(self.inputs, self.item, self.report);
        Some(Transport::Stdio { command: command.text, args, env, cwd, sandbox })
    }

    fn env(&mut self) -> BTreeMap<String, EnvValue> {
        let entries = self.item.find("env").map(|env| env.entries()).unwrap_or_default();
        let mut variables = BTreeMap::new();
        for (name, item) in entries {
            // What cannot be taken apart has been reported.
            let pieces = item
                .scalar()
                .and_then(|value| pieces(&value, |name| self.inputs.env.text(name)).ok());
            let Some(value) = pieces.map(env_value) else { continue };
            let is_text = |test: &dyn Fn(&str) -> bool| {
                value
                    .0
                    .iter()
                    .any(|part| matches!(part, EnvPart::Text(text) if test(text.expose())))
            };
            if name.is_empty() || name.contains(['=', '\0']) || is_text(&|text| text.contains('\0'))
            {
                self.report.mistake(
                    item.at(),
                    format!("the variable `{}`", name.escape_debug()),
                    "a name without `=`, a value without NUL",
                );
                continue;
            }
            if is_text(&is_placeholder) {
                self.report.warning(item.at(), "still looks like the example value");
            }
            variables.insert(name.to_owned(), value);
        }
        variables
    }

    /// A process that all users share is of no user.
    fn without_persons(&mut self, transport: &Transport) {
        let Transport::Stdio { env, .. } = transport else { return };
        for name in env.iter().filter(|(_, value)| value.is_personal()).map(|(name, _)| name) {
            let at = self
                .item
                .find("env")
                .and_then(|env| env.find(name))
                .map_or_else(|| self.item.at(), |item| item.at());
            self.report.mistake(
                at,
                "a reference to a person beside `isolation: shared`",
                "`isolation` `user` or `session`, or a value that is the same for everybody",
            );
        }
    }

    fn remote(&mut self, url: Written, kind: Option<(String, Written)>) -> Option<Transport> {
        let headers = self.headers();
        let url = self.url(url);
        let kind = match kind {
            None => "http",
            Some((text, written)) => match text.as_str() {
                "http" | "streamable-http" => "http",
                "sse" => "sse",
                "stdio" => {
                    self.report.mistake(written.at, "`stdio` with a url", "`http` or `sse`");
                    return None;
                }
                _ => {
                    written.not_one_of(TYPES, self.report);
                    return None;
                }
            },
        };
        let url = url?;
        Some(if kind == "sse" {
            Transport::Sse { url, headers }
        } else {
            Transport::Http { url, headers }
        })
    }

    fn url(&mut self, Written { text, at, .. }: Written) -> Option<Url> {
        let parsed = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let expected = match &parsed {
            None => "an http or https URL, such as https://mcp.acme.com/mcp",
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                "a URL without user name and password: credentials belong into `headers`"
            }
            Some(url) if url.fragment().is_some() => "a URL without fragment",
            Some(url) => {
                if self.own.is_at(url) {
                    self.report.warning(at, OURSELVES);
                }
                return parsed;
            }
        };
        self.report.mistake(at, format!("`{}`", without_credentials(&text)), expected);
        None
    }

    fn headers(&mut self) -> Vec<(HeaderName, SecretText)> {
        let entries =
            self.item.find("headers").map(|headers| headers.entries()).unwrap_or_default();
        let mut headers = Vec::new();
        for (name, item) in entries {
            let Some(value) = item.scalar() else { continue };
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
            let expected = match &parsed {
                None => "the name of a header: letters, digits and `-`",
                Some(name) if OWN_HEADERS.contains(&name.as_str()) => {
                    "another header: the gateway sets this one itself"
                }
                Some(_) if HeaderValue::from_str(&value).is_err() => {
                    "a value without line breaks and control characters"
                }
                Some(name) => {
                    headers.push((name.clone(), SecretText::new(value)));
                    continue;
                }
            };
            self.report.mistake(
                item.at(),
                format!("the header `{}`", name.escape_debug()),
                expected,
            );
        }
        headers
    }
}

/// Stands for the way to a server that has none.
fn unreachable_server() -> Transport {
    Transport::Stdio {
        command: String::new(),
        args: Vec::new(),
        env: BTreeMap::new(),
        cwd: None,
        sandbox: Sandbox::default(),
    }
}
