//! Section: the certificate that connections of browsers and clients are secured with, if nothing
//! in front of the gateway does that.

use std::{fmt, path::PathBuf, sync::Arc};

use portunus_core::settings::{Section, Setting, ValueType};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    inputs::{Content, Inputs, Written},
    mistake::Report,
};

pub(super) const TLS: Setting = Setting::new(
    "tls",
    ValueType::Section(&SECTION),
    "The gateway's own certificate, if nothing in front of it ends TLS",
);

const SECTION: Section = Section::new(
    "The gateway's own certificate; both files are followed when they change",
    &[
        Setting::new(
            "certificate_file",
            ValueType::Text,
            "The certificate and those that vouch for it, as PEM",
        )
        .variables(&["TLS_CERTIFICATE_FILE"]),
        Setting::new("key_file", ValueType::Text, "Its private key, as PEM")
            .variables(&["TLS_KEY_FILE"]),
    ],
);

pub(super) const PROVIDER_CA_FILE: Setting = Setting::new(
    "provider_ca_file",
    ValueType::Text,
    "A PEM file with the authorities that signed the identity providers' certificates, if this machine does not trust them",
).details("See [below](#private-authority)")
.variables(&["PROVIDER_CA_FILE"])
.needs_restart();

/// A certificate with its key, as its files were when they were read.
#[derive(Clone)]
pub struct TlsConfig {
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    /// TLS 1.2 and 1.3; HTTP/2 is offered, and HTTP/1.1.
    pub server: Arc<ServerConfig>,
    /// Of what was in the files: whether a certificate is another one.
    contents: [u8; 32],
}

impl PartialEq for TlsConfig {
    fn eq(&self, other: &Self) -> bool {
        self.contents == other.contents
    }
}

impl Eq for TlsConfig {}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("certificate_file", &self.certificate_file)
            .finish_non_exhaustive()
    }
}

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Option<TlsConfig> {
    let (certificate, key) =
        (inputs.setting("tls.certificate_file", report), inputs.setting("tls.key_file", report));
    let (certificate, key) = match (certificate, key) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(one), None) => {
            report.mistake(
                one.at,
                "a certificate without its key",
                "`tls.key_file` (TLS_KEY_FILE) too",
            );
            return None;
        }
        (None, Some(one)) => {
            report.mistake(
                one.at,
                "a key without its certificate",
                "`tls.certificate_file` (TLS_CERTIFICATE_FILE) too",
            );
            return None;
        }
    };
    let chain_pem = read(
        inputs,
        &certificate,
        Content::Plain,
        "a file with the certificate, and those that vouch for it, as PEM",
        report,
    );
    let key_pem = read(
        inputs,
        &key,
        Content::Secret,
        "a file with the private key as PEM, which the gateway may read",
        report,
    );
    let (chain_pem, key_pem) = (chain_pem?, key_pem?);
    let contents = Sha256::new()
        .chain_update(Sha256::digest(&chain_pem))
        .chain_update(Sha256::digest(&key_pem))
        .finalize()
        .into();
    let chain = CertificateDer::pem_slice_iter(&chain_pem).collect::<Result<Vec<_>, _>>();
    let chain =
        understood(chain, &certificate, "certificates as PEM: -----BEGIN CERTIFICATE-----", report);
    let private = understood(
        PrivateKeyDer::from_pem_slice(&key_pem),
        &key,
        "a private key as PEM, without a password",
        report,
    );
    let (chain, private) = (chain?, private?);
    match server(chain, private) {
        Ok(server) => Some(TlsConfig {
            certificate_file: certificate.text.into(),
            key_file: key.text.into(),
            server: Arc::new(server),
            contents,
        }),
        Err(error) => {
            report.mistake(
                key.at,
                format!("{} with {}: {error}", key.text, certificate.text),
                "the key that the certificate is for",
            );
            None
        }
    }
}

/// Authorities that identity providers' certificates may be signed by, beside those that this
/// machine trusts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities {
    /// Certificates as PEM; empty if there are none.
    pub pem: Vec<u8>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({} bytes)", self.pem.len())
    }
}

/// Section: `provider_ca_file`.
pub(super) fn authorities(inputs: &Inputs<'_>, report: &mut Report) -> Authorities {
    let Some(file) = inputs.setting("provider_ca_file", report) else {
        return Authorities::default();
    };
    authorities_of(inputs, &file, report)
}

/// Those that a file names.
pub(super) fn authorities_of(
    inputs: &Inputs<'_>,
    file: &Written,
    report: &mut Report,
) -> Authorities {
    let expected = "a file with the certificates of the authorities that signed the other end's, as PEM: -----BEGIN CERTIFICATE-----";
    let Some(pem) = read(inputs, file, Content::Plain, expected, report) else {
        return Authorities::default();
    };
    let found = understood(
        CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>(),
        file,
        expected,
        report,
    );
    if found.is_some_and(|found| found.is_empty()) {
        report.mistake(file.at.clone(), format!("{}: no certificate in it", file.text), expected);
    }
    Authorities { pem }
}

pub(super) fn read(
    inputs: &Inputs<'_>,
    written: &Written,
    content: Content,
    expected: &str,
    report: &mut Report,
) -> Option<Vec<u8>> {
    match inputs.read_file(written, content, report) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.mistake(written.at.clone(), format!("{}: {error}", written.text), expected);
            None
        }
    }
}

pub(super) fn understood<T>(
    parsed: Result<T, pem::Error>,
    written: &Written,
    expected: &str,
    report: &mut Report,
) -> Option<T> {
    // Its words may hold a part of what it read, which may be a key.
    parsed
        .inspect_err(|_| {
            report.mistake(written.at.clone(), format!("{}: not that", written.text), expected);
        })
        .ok()
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    if chain.is_empty() {
        return Err(rustls::Error::General("there is no certificate in the file".to_owned()));
    }
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let mut server = builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}
