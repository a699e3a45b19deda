//! What a client may change of its registration (RFC 7592), as a table.

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Timestamp, entropy::SeededEntropy, oauth::register::register, secret::TokenHash,
};

fn registered(method: &str) -> Registration {
    let metadata = json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": method, "client_name": "A"});
    register(
        serde_json::from_value(metadata).unwrap(),
        &Schemes::default(),
        Timestamp::from_secs(1),
        &SeededEntropy::new(1),
    )
    .unwrap()
}

fn update(of: &Registration, request: Value) -> Result<Registration, ErrorCode> {
    let managed = admit(Some(of.client.clone()), Some(of.token.clone())).unwrap();
    let request = serde_json::from_value(request).unwrap();
    managed.update(request, &Schemes::default(), &SeededEntropy::new(2)).map_err(|error| error.code)
}

#[test]
fn nobody_else_is_let_in_and_all_are_told_the_same() {
    let known = registered("none");
    let other = TokenSecret::generate(TokenKind::Registration, &SeededEntropy::new(9));
    let of_the_first_schema = Client { registration_token: None, ..known.client.clone() };
    let cases = [
        (Some(known.client.clone()), None),
        (Some(known.client.clone()), Some(other)),
        (None, Some(known.token.clone())),
        (None, None),
        (Some(of_the_first_schema), Some(known.token.clone())),
    ];
    let errors: Vec<_> =
        cases.into_iter().map(|(client, token)| admit(client, token).unwrap_err()).collect();
    assert!(
        errors.iter().all(|error| *error == errors[0] && error.code == ErrorCode::InvalidToken),
        "{errors:?}"
    );
    let read = admit(Some(known.client.clone()), Some(known.token.clone())).unwrap().read();
    assert_eq!((read.client, read.token), (known.client, known.token));
}

#[test]
fn what_a_change_may_say() {
    use ErrorCode::{
        InvalidClientMetadata as Metadata, InvalidRedirectUri as Redirect,
        InvalidRequest as Request,
    };
    let known = registered("client_secret_basic");
    let id = known.client.id.as_str();
    let uris = json!(["https://b.example/cb"]);
    let cases = [
        (json!({"redirect_uris": uris}), Metadata),
        (json!({"redirect_uris": uris, "client_id": "ptn_client_other"}), Metadata),
        (
            json!({"redirect_uris": uris, "client_id": id, "client_secret": "ptn_cs_chosen"}),
            Metadata,
        ),
        (
            json!({"redirect_uris": uris, "client_id": id, "registration_access_token": "x"}),
            Request,
        ),
        (
            json!({"redirect_uris": uris, "client_id": id, "registration_client_uri": "https://x"}),
            Request,
        ),
        (json!({"redirect_uris": uris, "client_id": id, "client_secret_expires_at": 0}), Request),
        (json!({"redirect_uris": uris, "client_id": id, "client_id_issued_at": 1}), Request),
        (json!({"client_id": id}), Redirect),
        (json!({"redirect_uris": ["javascript:x"], "client_id": id}), Redirect),
    ];
    for (request, expected) in cases {
        assert_eq!(update(&known, request.clone()).err(), Some(expected), "{request}");
    }
    let twice = format!(r#"{{"client_id": "{id}", "client_name": "a", "client_name": "b"}}"#);
    assert!(serde_json::from_str::<UpdateRequest>(&twice).is_err(), "a member sent twice");
}

#[test]
fn a_change_replaces_the_metadata_and_nothing_else() {
    let known = registered("client_secret_basic");
    let secret = known.secret.clone().unwrap();
    let request = json!({"client_id": known.client.id, "client_secret": secret.expose(), "redirect_uris": ["https://b.example/"]});
    let changed = update(&known, request).unwrap();
    assert_eq!(
        (changed.client.name.as_deref(), changed.client.redirect_uris[0].as_str()),
        (None, "https://b.example/")
    );
    assert_eq!((changed.client.id, changed.client.secret), (known.client.id, known.client.secret));
    assert_eq!(changed.client.registration_token, Some(known.token.hash()));
    assert_eq!((changed.token, changed.secret), (known.token, Some(secret)));
}

#[test]
fn a_secret_comes_and_goes_with_the_method() {
    let uris = json!(["https://a.example/cb"]);
    let public = registered("none");
    let given =
        update(&public, json!({"client_id": public.client.id, "redirect_uris": uris})).unwrap();
    assert_eq!(given.client.secret, given.secret.as_ref().map(TokenSecret::hash));
    assert!(given.client.secret.is_some());
    let request = json!({"client_id": public.client.id, "redirect_uris": uris, "token_endpoint_auth_method": "none"});
    let taken = update(&given, request).unwrap();
    assert_eq!((taken.client.secret, taken.secret), (None::<TokenHash>, None));
    let request = json!({"client_id": public.client.id, "redirect_uris": uris, "token_endpoint_auth_method": "client_secret_post"});
    let kept = update(&given, request).unwrap();
    assert_eq!((kept.client.secret, kept.secret), (given.client.secret, None), "not shown again");
}
