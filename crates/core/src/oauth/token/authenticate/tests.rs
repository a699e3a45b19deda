//! Cases for client authentication.

use super::*;
use crate::{
    oauth::{authorize::tests::client, token::samples::form},
    secret::TokenHash,
};

fn confidential(method: ClientAuthMethod) -> Client {
    Client { auth_method: method, secret: Some(TokenHash::of("hunter2")), ..client() }
}

#[test]
fn a_client_proves_itself_as_it_registered() {
    let basic = |secret: &str| Some(("c1".to_owned(), SecretText::new(secret)));
    let in_form = form("client_id=c1&client_secret=hunter2");
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
        (&by_basic, None, &in_form, false),
        (&by_basic, None, &bare, false),
        (&by_post, None, &in_form, true),
        (&by_post, basic("hunter2"), &empty, false),
        (&by_post, None, &bare, false),
    ];
    for (n, (client, basic, form, proven)) in cases.into_iter().enumerate() {
        let presented = credentials(basic, form).unwrap();
        assert_eq!(authenticate(Some(client), &presented).is_ok(), proven, "case {n}");
        assert_eq!(authenticate(None, &presented).unwrap_err().code, ErrorCode::InvalidClient, "case {n}");
    }
    assert_eq!(credentials(basic("x"), &in_form).unwrap_err().code, ErrorCode::InvalidRequest, "both ways at once");
    assert_eq!(credentials(basic("x"), &form("client_id=c2")).unwrap_err().code, ErrorCode::InvalidRequest);
    assert_eq!(credentials(None, &empty).unwrap_err().code, ErrorCode::InvalidClient);
}
