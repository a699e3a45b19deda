//! The gateway's own certificate: connections secured with it, exchanged while it runs, and never
//! exchanged for one that is broken.

use std::fs;

use reqwest::{Certificate, Client, StatusCode, Version};

use crate::fixture::program::{Program, until};

const FIRST: [&str; 2] = [
    include_str!("../../../testkit/fixtures/gateway-1.pem"),
    include_str!("../../../testkit/fixtures/gateway-1.key.pem"),
];
const SECOND: [&str; 2] = [
    include_str!("../../../testkit/fixtures/gateway-2.pem"),
    include_str!("../../../testkit/fixtures/gateway-2.key.pem"),
];
const FILES: [&str; 2] = ["server.pem", "server.key.pem"];

/// Trusts this certificate alone.
#[expect(clippy::disallowed_methods, reason = "a client for a certificate of the test's own")]
fn trusting(certificate: &str) -> Client {
    let root = Certificate::from_pem(certificate.as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([root]).build().unwrap()
}

/// Puts the files in place of those before, as tools that renew certificates do.
fn renew(program: &Program, contents: [&str; 2]) {
    for (file, text) in FILES.into_iter().zip(contents) {
        let new = program.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, program.folder.path().join(file)).unwrap();
    }
}

#[tokio::test]
async fn a_certificate_is_exchanged_while_the_gateway_runs() {
    let variables = [("TLS_CERTIFICATE_FILE", FILES[0]), ("TLS_KEY_FILE", FILES[1])];
    let program =
        Program::start_with(&variables, &[(FILES[0], FIRST[0]), (FILES[1], FIRST[1])]).await;
    assert!(program.url.starts_with("https://"));
    let (first, second) = (trusting(FIRST[0]), trusting(SECOND[0]));
    let ask = async |client: &Client| client.get(program.at("/health")).send().await;
    let answer = ask(&first).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    assert!(ask(&second).await.is_err(), "it is another certificate");
    renew(&program, SECOND);
    until(|| program.log().contains("settings: tls")).await;
    assert_eq!(ask(&second).await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        ask(&first).await.unwrap().status(),
        StatusCode::OK,
        "the connection from before goes on"
    );
    assert!(ask(&trusting(FIRST[0])).await.is_err(), "a new one meets the new certificate");
    // A key that is another certificate's.
    renew(&program, [SECOND[0], FIRST[1]]);
    until(|| program.log().contains("the configuration is not reloaded")).await;
    assert!(program.log().contains("TLS_KEY_FILE"), "the mistake is named: {}", program.log());
    assert_eq!(ask(&trusting(SECOND[0])).await.unwrap().status(), StatusCode::OK);
    // A client that speaks without TLS is not answered.
    let plain = program.at("/health").replace("https://", "http://");
    assert!(first.get(plain).send().await.is_err());
    assert!(program.health().await.contains(r#""status":"ok""#));
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0));
}
