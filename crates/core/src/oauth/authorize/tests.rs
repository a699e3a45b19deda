//! Cases for the authorization endpoint's rules.

use super::*;
use crate::{
    entropy::SeededEntropy,
    ids::{ClientId, ServerName},
    resource::PublicUrl,
};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: Timestamp = Timestamp::from_secs(1_000);

pub(crate) fn resources() -> Resources {
    let servers = ["dice", "uuid"].map(|name| ServerName::parse(name).unwrap());
    let resources = Resources::new(
        PublicUrl::parse("https://gw.example").unwrap(),
        &servers,
        &["/mcp/legacy/".to_owned()],
    );
    resources.with_scopes(crate::oauth::scopes::tests::rules())
}

pub(crate) fn client() -> Client {
    Client {
        name: Some("Cursor".to_owned()),
        redirect_uris: vec![
            RedirectUri::parse("https://app.example/cb").unwrap(),
            RedirectUri::parse("http://127.0.0.1/cb").unwrap(),
        ],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        ..Client::new(ClientId::from_text("c1"), NOW)
    }
}

pub(crate) fn request(scope: &str) -> AuthorizationRequest {
    let query = format!(
        "response_type=code&client_id=c1&redirect_uri=https://app.example/cb&state=s&scope={scope}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    try_request(&query).unwrap()
}

fn try_request(query: &str) -> Result<AuthorizationRequest, ErrorCode> {
    let params = Params::parse(query.as_bytes()).unwrap();
    let address = return_address(&params, &client()).map_err(|error| error.code)?;
    check(&params, &client(), address, &resources()).map_err(|error| error.code)
}

const SOUND: &str = "response_type=code&client_id=c1&redirect_uri=https://app.example/cb\
                     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

#[test]
fn a_sound_request_gets_the_defaults() {
    let request = try_request(SOUND).unwrap();
    assert_eq!(request.resources.to_string(), "https://gw.example/mcp");
    assert_eq!(request.scopes.to_string(), "mcp");
    assert_eq!(request.state, None);
}

#[test]
fn fb10_scopes_and_resources() {
    let dice = "&resource=https://gw.example/mcp/dice";
    let cases = [
        ("&scope=mcp".to_owned(), Ok("mcp")),
        ("&scope=mcp+offline_access".to_owned(), Ok("mcp offline_access")),
        ("&scope=offline_access".to_owned(), Ok("mcp offline_access")),
        ("&scope=openid+mcp".to_owned(), Ok("mcp")),
        (format!("&scope=dice{dice}"), Ok("dice")),
        (format!("&scope=uuid{dice}"), Err(ErrorCode::InvalidScope)),
        // Nothing that this gateway has heard of is as good as nothing (FB10).
        ("&scope=openid".to_owned(), Ok("mcp")),
        ("&scope=openid+profile+email".to_owned(), Ok("mcp")),
        ("&scope=openid+profile+offline_access".to_owned(), Ok("mcp offline_access")),
        (format!("&scope=openid{dice}"), Ok("mcp")),
        (format!("&scope=openid+uuid{dice}"), Err(ErrorCode::InvalidScope)),
        ("&scope=a%22b".to_owned(), Err(ErrorCode::InvalidScope)),
        ("&resource=https://evil.example/mcp".to_owned(), Err(ErrorCode::InvalidTarget)),
        ("&resource=https://gw.example/mcp/nobody".to_owned(), Err(ErrorCode::InvalidTarget)),
        (format!("{dice}&resource=https://gw.example/mcp/dice/"), Ok("mcp")),
        (format!("{dice}&resource=https://gw.example/mcp/uuid"), Ok("mcp")),
        (format!("&scope=dice+uuid{dice}&resource=https://gw.example/mcp/uuid"), Ok("dice uuid")),
        (
            format!("&scope=dice{dice}&resource=https://gw.example/mcp/uuid"),
            Err(ErrorCode::InvalidScope),
        ),
        (format!("{dice}&resource=https://evil.example/mcp"), Err(ErrorCode::InvalidTarget)),
        (dice.repeat(17), Err(ErrorCode::InvalidTarget)),
    ];
    for (extra, expected) in cases {
        let found =
            try_request(&format!("{SOUND}{extra}")).map(|request| request.scopes.to_string());
        assert_eq!(found.as_deref().map_err(|code| *code), expected, "{extra}");
    }
}

#[test]
fn offline_access_is_for_clients_that_registered_for_refresh_tokens() {
    let asked = format!("{SOUND}&scope=mcp+offline_access");
    let params = Params::parse(asked.as_bytes()).unwrap();
    for (grant_types, expected) in [
        (vec![GrantType::AuthorizationCode, GrantType::RefreshToken], "mcp offline_access"),
        (vec![GrantType::AuthorizationCode], "mcp"),
    ] {
        let client = Client { grant_types, ..client() };
        let address = return_address(&params, &client).unwrap();
        assert_eq!(
            check(&params, &client, address, &resources()).unwrap().scopes.to_string(),
            expected
        );
    }
}

#[test]
fn t04_the_redirect_uri_must_be_a_registered_one() {
    for (uri, sound) in [
        ("https://app.example/cb", true),
        ("http://127.0.0.1:9999/cb", true),
        ("https://app.example/cb2", false),
        ("https://app.example/cb/../evil", false),
        ("https://app.example.evil/cb", false),
        ("https://app.example/cb?x=1", false),
        ("http://127.0.0.1:9999/other", false),
        ("http://localhost:9999/cb", false),
    ] {
        let params = Params::parse(format!("redirect_uri={uri}").as_bytes()).unwrap();
        assert_eq!(return_address(&params, &client()).is_ok(), sound, "{uri}");
    }
    assert!(
        return_address(&Params::default(), &client()).is_err(),
        "several are registered, so one must be named"
    );
}

#[test]
fn t09_pkce_is_required_and_s256() {
    let without = "response_type=code&client_id=c1&redirect_uri=https://app.example/cb";
    for pkce in ["", "&code_challenge=abc", "&code_challenge_method=S256"] {
        assert_eq!(
            try_request(&format!("{without}{pkce}")).err(),
            Some(ErrorCode::InvalidRequest),
            "{pkce}"
        );
    }
    let plain = format!("{without}&code_challenge={CHALLENGE}&code_challenge_method=plain");
    assert_eq!(try_request(&plain).err(), Some(ErrorCode::InvalidRequest));
    let implied_plain = format!("{without}&code_challenge={CHALLENGE}");
    assert_eq!(try_request(&implied_plain).err(), Some(ErrorCode::InvalidRequest));
}

#[test]
fn other_refusals() {
    let cases = [
        (
            SOUND.replace("response_type=code", "response_type=token"),
            ErrorCode::UnsupportedResponseType,
        ),
        (SOUND.replace("response_type=code", "response_type="), ErrorCode::InvalidRequest),
        (format!("{SOUND}&response_mode=fragment"), ErrorCode::InvalidRequest),
        (format!("{SOUND}&request_uri=https://evil.example/r"), ErrorCode::InvalidRequest),
        (format!("{SOUND}&request=e30."), ErrorCode::InvalidRequest),
        (format!("{SOUND}&state={}", "s".repeat(5000)), ErrorCode::InvalidRequest),
    ];
    for (query, expected) in cases {
        assert_eq!(try_request(&query).err(), Some(expected), "{query}");
    }
}

#[test]
fn scopes_stay_within_what_the_configuration_says() {
    check_scopes(
        ClientSource::Configured,
        [
            (None, "mcp", Ok("mcp")),
            (Some("mcp"), "dice:read", Ok("dice:read")),
            (Some("dice"), "mcp", Ok("dice")),
            (Some("dice:read"), "mcp uuid", Ok("dice:read")),
            (Some("dice:read"), "", Ok("dice:read")),
            (Some("dice:read"), "uuid", Err(ErrorCode::InvalidScope)),
            (Some("mcp"), "mcp offline_access", Ok("mcp")),
            (Some("dice uuid"), "mcp&resource=https://gw.example/mcp/dice", Ok("dice")),
            (
                Some("uuid"),
                "mcp&resource=https://gw.example/mcp/dice",
                Err(ErrorCode::InvalidScope),
            ),
            (Some("openid"), "dice:read", Err(ErrorCode::InvalidScope)),
        ],
    );
}

#[test]
fn what_a_client_registered_is_what_it_asks_for_first() {
    for source in [ClientSource::Registered, ClientSource::MetadataDocument] {
        check_scopes(
            source,
            [
                (None, "", Ok("mcp")),
                (Some("dice:read"), "", Ok("dice:read")),
                (Some("dice:read"), "offline_access", Ok("dice:read")),
                (Some("dice:read"), "dice:read uuid", Ok("dice:read uuid")),
                (Some("dice"), "mcp", Ok("mcp")),
                (Some("openid"), "", Ok("mcp")),
                (Some("openid offline_access"), "", Ok("mcp")),
            ],
        );
    }
}

fn check_scopes<const N: usize>(
    source: ClientSource,
    cases: [(Option<&str>, &str, Result<&str, ErrorCode>); N],
) {
    for (limit, asked, expected) in cases {
        let client = Client {
            source,
            scopes: limit.map(|limit| ScopeSet::parse(limit).unwrap()),
            ..client()
        };
        let params = Params::parse(format!("{SOUND}&scope={asked}").as_bytes()).unwrap();
        let address = return_address(&params, &client).unwrap();
        let found = check(&params, &client, address, &resources())
            .map(|request| request.scopes.to_string());
        assert_eq!(found.as_deref().map_err(|error| error.code), expected, "{limit:?} {asked:?}");
    }
}

#[test]
fn t10_answers_carry_iss_and_leave_the_uri_as_it_was_spelt() {
    let issuer = "https://gw.example";
    let error = OAuthError::new(ErrorCode::AccessDenied, "no");
    let cases = [
        (
            "https://app.example",
            "https://app.example?error=access_denied&error_description=no&iss=https%3A%2F%2Fgw.example&state=a+b",
        ),
        (
            "https://a.example/?x=%7e",
            "https://a.example/?x=%7e&error=access_denied&error_description=no&iss=https%3A%2F%2Fgw.example&state=a+b",
        ),
        (
            "http://[::1]:1/cb?",
            "http://[::1]:1/cb?error=access_denied&error_description=no&iss=https%3A%2F%2Fgw.example&state=a+b",
        ),
    ];
    for (uri, expected) in cases {
        let address = ReturnAddress {
            redirect_uri: RedirectUri::parse(uri).unwrap(),
            state: Some("a b".to_owned()),
        };
        assert_eq!(error_redirect(&address, &error, issuer).as_deref(), Some(expected));
    }
    let code = TokenSecret::generate(TokenKind::Code, &SeededEntropy::new(1));
    let address = ReturnAddress {
        redirect_uri: RedirectUri::parse("https://app.example/cb").unwrap(),
        state: None,
    };
    let redirect = success_redirect(&address, &code, issuer);
    assert_eq!(
        redirect,
        format!("https://app.example/cb?code={}&iss=https%3A%2F%2Fgw.example", code.expose())
    );
}

#[test]
fn t59_an_error_opens_nothing_and_a_code_is_delivered() {
    let error = OAuthError::new(ErrorCode::AccessDenied, "no");
    let code = TokenSecret::generate(TokenKind::Code, &SeededEntropy::new(1));
    let cases = [
        ("cursor://anysphere.cursor-mcp/oauth/callback", true),
        ("cursor://anysphere.cursor-deeplink/mcp/install?name=evil", false),
        ("vscode://file/etc/passwd", false),
        ("com.example.app:/cb", false),
    ];
    for (uri, is_told) in cases {
        let address = ReturnAddress { redirect_uri: RedirectUri::parse(uri).unwrap(), state: None };
        assert_eq!(
            error_redirect(&address, &error, "https://gw.example").is_some(),
            is_told,
            "{uri}"
        );
        assert!(
            success_redirect(&address, &code, "https://gw.example").starts_with(uri),
            "the person allowed it: {uri}"
        );
    }
}

#[test]
fn t02_a_departure_binds_state_cookie_and_transaction() {
    let entropy = SeededEntropy::new(3);
    let purpose = Purpose::Authorize(request("mcp"));
    let transaction =
        begin(purpose, TokenHash::of("browser"), NOW, Duration::from_secs(600), &entropy);
    let callback = "https://gw.example/auth/callback/okta";
    let first = depart(&transaction, &ProviderName::from_text("okta"), callback, &entropy);
    let second = depart(&transaction, &ProviderName::from_text("okta"), callback, &entropy);
    assert_eq!(first.provider_request.transaction, transaction.id);
    assert_eq!(first.provider_request.browser, first.cookie.hash());
    assert_eq!(first.provider_request.state, TokenHash::of(first.state.expose()));
    assert_eq!(CodeChallenge::of(&first.provider_request.code_verifier), first.code_challenge);
    assert_ne!(first.provider_request.state, second.provider_request.state);
    assert_ne!(first.provider_request.nonce, second.provider_request.nonce);
    assert_eq!(first.provider_request.expires_at, NOW + Duration::from_secs(600));
}

#[test]
fn t54_t72_an_answer_is_taken_at_its_own_callback_with_its_own_cookie() {
    let entropy = SeededEntropy::new(3);
    let transaction = begin(
        Purpose::Authorize(request("mcp")),
        TokenHash::of("b"),
        NOW,
        Duration::from_secs(600),
        &entropy,
    );
    let own = "https://gw.example/auth/callback/okta";
    let departure = depart(&transaction, &ProviderName::from_text("okta"), own, &entropy);
    let (cookie, made_up) = (departure.cookie.hash(), TokenHash::of("made up"));
    let from_before =
        ProviderRequest { redirect_uri: String::new(), ..departure.provider_request.clone() };
    let cases = [
        (&departure.provider_request, own, &cookie, true),
        (&departure.provider_request, own, &made_up, false),
        (&departure.provider_request, "https://gw.example/auth/callback", &cookie, false),
        (&departure.provider_request, "https://gw.example/auth/callback/partner", &cookie, false),
        (&departure.provider_request, "https://gw.example/auth/callback/okta/", &cookie, false),
        (&departure.provider_request, "https://gw.example/auth/callback/OKTA", &cookie, false),
        (&departure.provider_request, "", &cookie, false),
        (&from_before, own, &cookie, false),
    ];
    for (provider_request, callback, cookie, expected) in cases {
        assert_eq!(provider_request.is_answered_at(callback, cookie), expected, "{callback}");
    }
}
