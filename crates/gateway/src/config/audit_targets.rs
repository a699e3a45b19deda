//! Sections: where audit records go beside the store and [`super::audit`]'s file: a syslog
//! receiver, a collector of OpenTelemetry. What becomes of them is [`crate::audit`]'s.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use hyper_rustls::ConfigBuilderExt as _;
use portunus_core::{
    secret::SecretText,
    settings,
    settings::{Choice, Custom, FLAG, Section, Setting, Settings as _, ValueType, choice, custom},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    inputs::{Content, Inputs, Written, written},
    mistake::{Report, Where},
    server::without_credentials,
    tls::{Authorities, authorities_of, read, understood},
};

/// What a collector's path ends with (OTLP specification, "OTLP/HTTP Request").
const LOGS: &str = "/v1/logs";

settings! {
    /// A syslog receiver (RFC 5424).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SyslogConfig: "A syslog receiver (RFC 5424)" {
        given {
            /// Host and port.
            address: String,
            /// `None`: plain TCP.
            secured: Option<SyslogTls>,
        }

        key address: ValueType::Text,
            "Host and port: TCP, with octet counting (RFC 6587)", required();
        /// Is there TLS?
        tls: bool = "false", FLAG, "TLS (RFC 5425)";
        key ca_file: ValueType::Text,
            "With TLS: a PEM file with the authorities that sign the receiver's certificate, if this machine does not trust them";
        key certificate_file: ValueType::Text,
            "With TLS: the gateway's own certificate as PEM, if the receiver asks for one";
        key key_file: ValueType::Text, "The key of `certificate_file`";
        /// By its number.
        facility: u8 = "log_audit", FACILITY, "The facility of each message";
        /// `NAME@ENTERPRISE-NUMBER`.
        structured_data_id: String = "portunus@32473", STRUCTURED_DATA_ID,
            "The id of the structured data of each message",
            details("32473 is the number for examples; give your organisation's own if it has one");
    }
}

const FACILITY: Choice<u8> = choice(
    &[
        "user",
        "daemon",
        "auth",
        "syslog",
        "authpriv",
        "log_audit",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ],
    &[1, 3, 4, 5, 10, 13, 16, 17, 18, 19, 20, 21, 22, 23],
);

const STRUCTURED_DATA_ID: Custom<String> = custom(ValueType::Text, |text| {
    let is_good = text.len() <= 32
        && text.split_once('@').is_some_and(|(name, number)| {
            let is_name = !name.is_empty()
                && name.bytes().all(|c| c.is_ascii_graphic() && !b"=]\"@".contains(&c));
            is_name && number.bytes().next().is_some_and(|c| c.is_ascii_digit())
        });
    if is_good && text.rsplit('@').next().is_some_and(is_enterprise) {
        Ok(text.to_owned())
    } else {
        Err("a name, `@` and a private enterprise number, 32 characters at most: `portunus@32473`"
            .to_owned())
    }
});

fn is_enterprise(number: &str) -> bool {
    number.bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

/// How a receiver's connection is secured.
#[derive(Clone)]
pub struct SyslogTls {
    pub client: Arc<ClientConfig>,
    /// Of what was in the files: whether it is another one.
    contents: [u8; 32],
}

impl PartialEq for SyslogTls {
    fn eq(&self, other: &Self) -> bool {
        self.contents == other.contents
    }
}

impl Eq for SyslogTls {}

impl fmt::Debug for SyslogTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyslogTls")
    }
}

/// A collector of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// With the path of logs.
    pub url: Url,
    pub headers: Vec<(HeaderName, SecretText)>,
    pub authorities: Authorities,
}

pub(super) const OTLP: Section = Section::new(
    "A collector of OpenTelemetry: OTLP over HTTP, as JSON",
    &[
        Setting::new(
            "endpoint",
            ValueType::Secret,
            "Its URL; `/v1/logs` is put behind it if it does not end so",
        )
        .required(),
        Setting::new(
            "headers",
            ValueType::Map(&ValueType::Secret),
            "Headers of each request, as for a token: `Authorization: Bearer ${TOKEN}`",
        ),
        Setting::new(
            "headers_file",
            ValueType::Text,
            "A file of more headers, one `Name: value` in a line",
        ),
        Setting::new(
            "ca_file",
            ValueType::Text,
            "A PEM file with the authorities that sign its certificate, if this machine does not trust them",
        ),
    ],
);

impl OtlpConfig {
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                map.append(name.clone(), value);
            }
        }
        map
    }
}

pub(super) fn syslog(inputs: &Inputs<'_>, report: &mut Report) -> Option<SyslogConfig> {
    let address = inputs.setting("audit.syslog.address", report)?;
    let is_good = Url::parse(&format!("syslog://{}", address.text)).is_ok_and(|url| {
        url.host().is_some()
            && url.port().is_some()
            && matches!(url.path(), "" | "/")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    });
    if !is_good || address.text.contains('/') {
        let expected = "a host and a port, such as siem.example.com:6514, and nothing else";
        report.mistake(address.at, format!("`{}`", without_credentials(&address.text)), expected);
        return None;
    }
    let mut syslog = SyslogConfig::with_defaults(address.text, None);
    syslog.read(&mut inputs.section("audit.syslog", report));
    if syslog.tls {
        syslog.secured = Some(secured(inputs, &address.at, report)?);
    } else if let Some(file) = FILES.iter().find_map(|name| written_at(inputs, name)) {
        report.mistake(file.at, "a certificate for a plain connection", "`tls: true` with it");
    }
    Some(syslog)
}

const FILES: [&str; 3] =
    ["audit.syslog.ca_file", "audit.syslog.certificate_file", "audit.syslog.key_file"];

fn written_at(inputs: &Inputs<'_>, path: &str) -> Option<Written> {
    written(inputs.config.root().find_path(path))
}

fn secured(inputs: &Inputs<'_>, at: &Where, report: &mut Report) -> Option<SyslogTls> {
    let [ca, certificate, key] = FILES.map(|name| written_at(inputs, name));
    let mut contents = Sha256::new();
    let mut pem_of = |written: &Written, content, report: &mut Report| {
        let pem =
            read(inputs, written, content, "a file of PEM, which the gateway may read", report)?;
        contents.update(Sha256::digest(&pem));
        Some(pem)
    };
    let roots = match &ca {
        None => None,
        Some(ca) => {
            let pem = pem_of(ca, Content::Plain, report)?;
            let expected = "certificates as PEM: -----BEGIN CERTIFICATE-----";
            let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
            let mut roots = RootCertStore::empty();
            let (added, _) =
                roots.add_parsable_certificates(understood(found, ca, expected, report)?);
            if added == 0 {
                report.mistake(ca.at.clone(), format!("{}: no certificate", ca.text), expected);
                return None;
            }
            Some(roots)
        }
    };
    let own = match (&certificate, &key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let chain = pem_of(certificate, Content::Plain, report)?;
            let secret = pem_of(key, Content::Secret, report)?;
            let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
            let expected = "a private key as PEM, without a password";
            Some((
                understood(chain, certificate, "certificates as PEM", report)?,
                understood(PrivateKeyDer::from_pem_slice(&secret), key, expected, report)?,
            ))
        }
        (one, other) => {
            let at = one.as_ref().or(other.as_ref()).map_or(at, |written| &written.at).clone();
            let expected = "`certificate_file` and `key_file`, both or neither";
            report.mistake(at, "one without the other", expected);
            return None;
        }
    };
    match client(roots, own) {
        Ok(client) => {
            Some(SyslogTls { client: Arc::new(client), contents: contents.finalize().into() })
        }
        Err(error) => {
            report.mistake(at.clone(), format!("{error}"), "certificates that fit together");
            None
        }
    }
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client(roots: Option<RootCertStore>, own: Option<Own>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder = match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.try_with_platform_verifier()?,
    };
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
    }
}

pub(super) fn otlp(inputs: &Inputs<'_>, report: &mut Report) -> Option<OtlpConfig> {
    let endpoint = inputs.setting("audit.otlp.endpoint", report)?;
    let parsed = Url::parse(&endpoint.text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    let Some(mut url) = parsed else {
        let expected = "an http or https URL without user name and password: credentials belong into `headers`";
        report.mistake(endpoint.at, "[redacted]", expected);
        return None;
    };
    if !url.path().ends_with(LOGS) {
        let path = format!("{}{LOGS}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let headers = headers(inputs, report);
    if url.scheme() == "http" && !headers.is_empty() && !is_near(&url) {
        let text = "audit records and their headers go over plain HTTP: https, or a collector on this machine";
        report.warning(endpoint.at, text);
    }
    let ca = written_at(inputs, "audit.otlp.ca_file");
    let authorities = ca.map(|file| authorities_of(inputs, &file, report)).unwrap_or_default();
    Some(OtlpConfig { url, headers, authorities })
}

fn is_near(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn headers(inputs: &Inputs<'_>, report: &mut Report) -> Vec<(HeaderName, SecretText)> {
    let mut headers = Vec::new();
    let section = inputs.config.root().find_path("audit.otlp");
    let listed = section.as_ref().and_then(|section| section.find("headers"));
    for (name, item) in listed.map(|headers| headers.entries()).unwrap_or_default() {
        if let Some(value) = item.scalar() {
            headers.extend(header(name, &value, &item.at(), report));
        }
    }
    let file = section.and_then(|section| written(section.find("headers_file")));
    if let Some(file) = file {
        let at = file.at.clone();
        let text = inputs.text_of((None, Some(file)), Content::Secret, report);
        let text = text.map(|written| written.text);
        for line in text.iter().flat_map(|text| text.expose().lines()) {
            match line.split_once(':') {
                Some((name, value)) => headers.extend(header(name, value.trim(), &at, report)),
                None if line.trim().is_empty() => {}
                None => report.mistake(
                    at.clone(),
                    "a line without a colon",
                    "lines such as `Authorization: Bearer …`",
                ),
            }
        }
    }
    headers
}

fn header(
    name: &str,
    value: &str,
    at: &Where,
    report: &mut Report,
) -> Option<(HeaderName, SecretText)> {
    let parsed = HeaderName::from_bytes(name.trim().as_bytes()).ok();
    let expected = match parsed {
        None => "the name of a header: letters, digits and `-`",
        Some(name)
            if matches!(
                name.as_str(),
                "content-length" | "content-type" | "host" | "transfer-encoding" | "connection"
            ) =>
        {
            "another header: the gateway sets this one itself"
        }
        Some(_) if HeaderValue::from_str(value).is_err() => {
            "a value without line breaks and control characters"
        }
        Some(name) => return Some((name, SecretText::new(value))),
    };
    report.mistake(at.clone(), format!("the header `{}`", name.escape_debug()), expected);
    None
}
