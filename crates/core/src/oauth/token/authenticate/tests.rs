//! Cases for client authentication.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;
use crate::{
    oauth::{authorize::tests::client, token::samples::form},
    secret::TokenHash,
};

fn confidential(method: ClientAuthMethod) -> Client {
    Client { auth_method: method, secret: Some(TokenHash::of("hunter2")), ..client() }
}

#[test]
fn fb14_a_client_proves_itself_by_its_secret_wherever_it_sends_it() {
    let basic = |secret: &str| Some(("c1".to_owned(), SecretText::new(secret)));
    let in_form = form("client_id=c1&client_secret=hunter2");
    let wrong = form("client_id=c1&client_secret=hunter3");
    let bare = form("client_id=c1");
    let none = client();
    let by_basic = confidential(ClientAuthMethod::ClientSecretBasic);
    let by_post = confidential(ClientAuthMethod::ClientSecretPost);
    let empty = Params::default();
    let cases = [
        (&none, None, &bare, true),
        (&none, None, &in_form, false),
        (&none, basic(""), &empty, false),
        (&by_basic, basic("hunter2"), &empty, true),
        (&by_basic, basic("hunter2"), &bare, true),
        (&by_basic, basic("hunter3"), &empty, false),
        (&by_basic, basic(""), &empty, false),
        // The other way than it registered (FB14).
        (&by_basic, None, &in_form, true),
        (&by_basic, None, &wrong, false),
        (&by_basic, None, &bare, false),
        (&by_post, None, &in_form, true),
        (&by_post, basic("hunter2"), &empty, true),
        (&by_post, basic("hunter3"), &empty, false),
        (&by_post, None, &bare, false),
    ];
    for (n, (client, basic, form, proven)) in cases.into_iter().enumerate() {
        let presented = credentials(basic, form).unwrap();
        assert_eq!(authenticate(Some(client.clone()), &presented).is_ok(), proven, "case {n}");
        assert_eq!(
            authenticate(None, &presented).unwrap_err().code,
            ErrorCode::InvalidClient,
            "case {n}"
        );
    }
    assert_eq!(
        credentials(basic("x"), &in_form).unwrap_err().code,
        ErrorCode::InvalidRequest,
        "both ways at once"
    );
    assert_eq!(
        credentials(basic("x"), &form("client_id=c2")).unwrap_err().code,
        ErrorCode::InvalidRequest
    );
    assert_eq!(credentials(None, &empty).unwrap_err().code, ErrorCode::InvalidClient);
}

#[test]
fn an_assertion_proves_nothing_until_it_is_checked() {
    use ErrorCode::{InvalidClient, InvalidRequest};

    let jwt = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"sub": "c1"}"#));
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let signed = Client { auth_method: ClientAuthMethod::PrivateKeyJwt, ..client() };
    let presented = credentials(None, &form(&format!("{kind}&client_assertion={jwt}"))).unwrap();
    assert_eq!(
        presented.client_id, "c1",
        "the client of an assertion is its subject (RFC 7521 section 4.2)"
    );
    for registered in [&signed, &client(), &confidential(ClientAuthMethod::ClientSecretPost)] {
        assert!(authenticate(Some(registered.clone()), &presented).is_err());
    }
    let bare = credentials(None, &form("client_id=c1")).unwrap();
    assert!(authenticate(Some(signed.clone()), &bare).is_err());
    let secret = credentials(None, &form("client_id=c1&client_secret=hunter2")).unwrap();
    let odd = Client { secret: Some(TokenHash::of("hunter2")), ..signed };
    assert!(
        authenticate(Some(odd.clone()), &secret).is_err(),
        "a secret is not what it registered"
    );

    let basic = || Some(("c1".to_owned(), SecretText::new("x")));
    for (basic, text, expected) in [
        (None, "client_id=c1&client_assertion=x".to_owned(), InvalidRequest),
        (None, format!("client_id=c1&{kind}"), InvalidRequest),
        (None, "client_assertion_type=saml2-bearer&client_assertion=x".to_owned(), InvalidClient),
        (None, format!("{kind}&client_assertion=x"), InvalidClient),
        (None, format!("{kind}&client_assertion={jwt}&client_secret=x"), InvalidRequest),
        (basic(), format!("{kind}&client_assertion={jwt}"), InvalidRequest),
    ] {
        assert_eq!(credentials(basic, &form(&text)).unwrap_err().code, expected, "{text}");
    }
}
