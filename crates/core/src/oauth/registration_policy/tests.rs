//! Who may register, and with which redirect URIs, as a table.

use super::*;
use crate::{clock::Timestamp, ids::ClientId};

fn client(name: &str, uris: &[&str]) -> Client {
    let redirect_uris = uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
    Client {
        name: (!name.is_empty()).then(|| name.to_owned()),
        redirect_uris,
        ..Client::new(ClientId::from_text("c"), Timestamp::from_secs(0))
    }
}

fn cursor(registration: bool) -> Family {
    Family {
        name: "cursor".to_owned(),
        client_name: Some("Cursor".to_owned()),
        redirect_schemes: vec!["cursor".to_owned()],
        redirect_hosts: vec!["www.cursor.com".to_owned()],
        registration: Some(registration),
        metadata_documents: None,
    }
}

#[test]
fn t57_switches() {
    let kept_out =
        RegistrationPolicy { families: vec![cursor(false)], ..RegistrationPolicy::default() };
    let alone = RegistrationPolicy {
        registration: false,
        families: vec![cursor(true)],
        ..RegistrationPolicy::default()
    };
    let off = RegistrationPolicy { registration: false, ..RegistrationPolicy::default() };
    let cases: [(&str, &[&str], [bool; 3]); 12] = [
        ("Cursor", &["cursor://x/cb"], [false, true, false]),
        ("cursor (work)", &["https://www.cursor.com/cb", "cursor://x/cb"], [false, true, false]),
        (" CURSOR", &["http://localhost/cb"], [false, false, false]),
        ("Other", &["cursor://x/cb"], [false, false, false]),
        ("Cur\u{200b}sor", &["http://localhost/cb"], [false, false, false]),
        ("Cursor", &["com.evil.app://www.cursor.com/cb"], [false, false, false]),
        ("Other", &["com.evil.app://www.cursor.com/cb"], [true, false, false]),
        ("Cursor", &["vscode://www.cursor.com/cb"], [false, false, false]),
        ("Other", &["https://a.example/cb", "cursor://x/cb"], [false, false, false]),
        ("Cursor", &["cursor://x/cb", "https://evil.example/cb"], [false, false, false]),
        ("Claude", &["http://localhost/cb"], [true, false, false]),
        ("", &["https://a.example/cb"], [true, false, false]),
    ];
    for (name, uris, expected) in cases {
        let client = client(name, uris);
        let found = [&kept_out, &alone, &off]
            .map(|policy| policy.admit(RegistrationMethod::Registration, &client).is_ok());
        assert_eq!(found, expected, "{name:?} {uris:?}");
        assert!(
            alone.admit(RegistrationMethod::MetadataDocument, &client).is_ok(),
            "the other method has its own switch"
        );
    }
    assert_eq!(
        [&kept_out, &alone, &off].map(|policy| policy.is_open(RegistrationMethod::Registration)),
        [true, true, false]
    );
    let by_nothing = Family {
        client_name: None,
        redirect_schemes: vec![],
        redirect_hosts: vec![],
        ..cursor(true)
    };
    let matches_nothing = RegistrationPolicy {
        registration: false,
        families: vec![by_nothing],
        ..RegistrationPolicy::default()
    };
    assert!(
        matches_nothing
            .admit(RegistrationMethod::Registration, &client("Cursor", &["cursor://x/cb"]))
            .is_err()
    );
}

#[test]
fn domains_of_documents() {
    let policy = RegistrationPolicy {
        domains: ["app.example", "*.acme.example"]
            .map(|text| Domain::parse(text).unwrap())
            .to_vec(),
        ..RegistrationPolicy::default()
    };
    let cases = [
        ("https://app.example/c", true),
        ("https://app.example:8443/c", true),
        ("https://x.acme.example/c", true),
        ("https://x.y.acme.example/c", true),
        ("https://acme.example/c", false),
        ("https://x.app.example/c", false),
        ("https://evilacme.example/c", false),
        ("https://app.example.evil.example/c", false),
        ("https://evil.example/app.example", false),
    ];
    for (url, expected) in cases {
        let url = DocumentUrl::parse(url).unwrap();
        assert_eq!(policy.admit_document(&url).is_ok(), expected, "{url}");
        assert!(RegistrationPolicy::default().admit_document(&url).is_ok());
        assert!(
            RegistrationPolicy { metadata_documents: false, ..RegistrationPolicy::default() }
                .admit_document(&url)
                .is_err()
        );
    }
    for bad in [
        "",
        "*",
        "*.",
        "*.com",
        "a..b",
        "App.example",
        "https://app.example",
        "app.example/",
        "a b",
        "*.*.example",
        "-a.b",
    ] {
        assert_eq!(Domain::parse(bad), Err(BadDomain), "{bad:?}");
    }
    assert!(Domain::parse("localhost").is_ok());
}
