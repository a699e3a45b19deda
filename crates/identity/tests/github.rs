//! The GitHub provider against a small fake of GitHub Enterprise Server on loopback.

#[cfg(test)]
mod github {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use axum::{
        Json, Router,
        body::Bytes,
        extract::Query,
        http::{HeaderMap, StatusCode},
        response::{IntoResponse, Response},
        routing::{get, post},
    };
    use portunus_core::{Timestamp, ids::ProviderName, pkce::CodeChallenge, secret::SecretText};
    use portunus_identity::{
        Ours, Preset, Provider, ProviderSettings, State, connect, diagnose,
        provider::{IdentityError, Inbound, Outbound, ProviderRequestSecrets},
    };
    use serde_json::json;

    const REDIRECT: &str = "http://localhost:3000/auth/callback/github";
    const OURS: Ours<'static> =
        Ours { callback: REDIRECT, signed_out: "http://localhost:3000/auth/signout" };

    async fn token(body: Bytes) -> Response {
        let form: std::collections::HashMap<String, String> =
            url::form_urlencoded::parse(&body).into_owned().collect();
        let error =
            |error: &str| Json(json!({"error": error, "error_description": "No."})).into_response();
        let find = |name: &str| form.get(name).map_or("", String::as_str);
        if (find("client_id"), find("client_secret")) != ("Iv1.test", "secret") {
            return error("incorrect_client_credentials");
        }
        if find("code") != "good" || find("code_verifier").is_empty() {
            return error("bad_verification_code");
        }
        Json(json!({"access_token": "gho_test", "token_type": "bearer", "scope": "read:org,user:email"})).into_response()
    }

    fn guarded(headers: &HeaderMap, body: serde_json::Value) -> Response {
        let is_ours = headers.get("authorization").is_some_and(|value| value == "Bearer gho_test");
        if is_ours && headers.contains_key("user-agent") {
            Json(body).into_response()
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        }
    }

    async fn orgs(headers: HeaderMap, Query(query): Query<Vec<(String, String)>>) -> Response {
        let page =
            query.iter().find(|(name, _)| name == "page").map_or("", |(_, value)| value.as_str());
        let logins: Vec<_> = match page {
            "1" => (0..100).map(|n| json!({"login": format!("org-{n}")})).collect(),
            "2" => vec![json!({"login": "acme"})],
            _ => vec![],
        };
        guarded(&headers, json!(logins))
    }

    async fn start(limited: Arc<AtomicBool>) -> String {
        let user = move |headers: HeaderMap| async move {
            if limited.load(Ordering::SeqCst) {
                let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1893456000")];
                return (StatusCode::FORBIDDEN, headers).into_response();
            }
            guarded(
                &headers,
                json!({"id": 583_231, "login": "octocat", "name": "The Octocat", "email": "public@x.example"}),
            )
        };
        let emails = json!([
            {"email": "old@acme.example", "primary": false, "verified": true},
            {"email": "octocat@acme.example", "primary": true, "verified": true},
        ]);
        let router = Router::new()
            .route("/login/oauth/access_token", post(token))
            .route("/api/v3/user", get(user))
            .route(
                "/api/v3/user/emails",
                get(move |headers: HeaderMap| async move { guarded(&headers, emails) }),
            )
            .route("/api/v3/user/orgs", get(orgs))
            .route("/api/v3/meta", get(async || "{}"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        base
    }

    fn settings(issuer: String) -> ProviderSettings {
        ProviderSettings {
            name: ProviderName::from_text("github"),
            preset: Preset::Github,
            client_id: "Iv1.test".to_owned(),
            client_secret: Some(SecretText::new("secret")),
            issuer,
            scopes: None,
            offline_access: None,
            groups_claim: None,
            internal_url: None,
            redirect_uri: None,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test has no gateway to make its client")]
    fn http() -> reqwest::Client {
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
    }

    async fn complete(
        provider: &dyn Provider,
        answer: Inbound,
    ) -> Result<portunus_identity::provider::SignedIn, IdentityError> {
        let text = SecretText::new("x".repeat(43));
        let provider_request = ProviderRequestSecrets {
            redirect_uri: REDIRECT,
            nonce: &text,
            code_verifier: &text,
            signed_in_since: None,
        };
        provider.complete(&answer, &provider_request, Timestamp::from_secs(0)).await
    }

    fn code(code: &str) -> Inbound {
        Inbound { code: Some(SecretText::new(code)), ..Inbound::default() }
    }

    #[tokio::test]
    async fn somebody_signs_in_with_organisations_as_groups() {
        let base = start(Arc::default()).await;
        let provider = connect(settings(format!("{base}/")), http());
        let octocat = complete(&*provider, code("good")).await.unwrap();
        assert_eq!(octocat.issuer, base);
        assert_eq!(octocat.subject, "583231");
        assert_eq!(octocat.name.as_deref(), Some("The Octocat"));
        assert_eq!(octocat.email.as_deref(), Some("octocat@acme.example"));
        assert!(octocat.email_verified);
        assert_eq!(octocat.groups.len(), 101);
        assert!(octocat.groups.contains(&"acme".to_owned()), "the second page too");
        assert!(provider.sign_out_url(None, REDIRECT, "the-state").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_authorization_url_is_githubs() {
        let provider = connect(settings("https://github.com".to_owned()), http());
        let text = SecretText::new("x".repeat(43));
        let code_challenge = CodeChallenge::of(&text);
        let provider_request = Outbound {
            redirect_uri: REDIRECT,
            state: &text,
            nonce: &text,
            code_challenge: &code_challenge,
            fresh: false,
            max_age: None,
            login_hint: Some("octocat"),
        };
        let url = provider.authorization_url(&provider_request).await.unwrap();
        assert!(url.as_str().starts_with("https://github.com/login/oauth/authorize?"), "{url}");
        assert!(
            url.query_pairs()
                .any(|pair| pair == ("scope".into(), "read:user user:email read:org".into())),
            "{url}"
        );
        assert!(
            url.query_pairs().any(|pair| pair == ("code_challenge_method".into(), "S256".into())),
            "{url}"
        );
        assert!(url.query_pairs().any(|pair| pair == ("login".into(), "octocat".into())), "{url}");
    }

    #[tokio::test]
    async fn errors_are_sorted_by_who_can_mend_them() {
        let limited = Arc::new(AtomicBool::new(false));
        let base = start(Arc::clone(&limited)).await;
        let provider = connect(settings(base.clone()), http());
        let error = complete(&*provider, code("bad")).await.unwrap_err();
        assert!(
            matches!(&error, IdentityError::Refused { error, .. } if error == "invalid_grant"),
            "{error:?}"
        );

        let foreign = Inbound { iss: Some("https://evil.example".to_owned()), ..code("good") };
        let error = complete(&*provider, foreign).await.unwrap_err();
        assert!(matches!(error, IdentityError::Unverified { .. }), "{error:?}");

        let denied = Inbound { error: Some("access_denied".to_owned()), ..Inbound::default() };
        let error = complete(&*provider, denied).await.unwrap_err();
        assert!(matches!(error, IdentityError::Refused { .. }), "{error:?}");

        limited.store(true, Ordering::SeqCst);
        let error = complete(&*provider, code("good")).await.unwrap_err();
        assert!(matches!(error, IdentityError::Unavailable { .. }), "{error:?}");
        assert!(error.to_string().contains("1893456000"), "{error}");

        let wrong =
            ProviderSettings { client_secret: Some(SecretText::new("wrong")), ..settings(base) };
        let error = complete(&*connect(wrong, http()), code("good")).await.unwrap_err();
        assert!(error.to_string().contains("AUTH_GITHUB_SECRET"), "{error}");
    }

    #[tokio::test]
    async fn the_doctor_tries_the_secret() {
        let base = start(Arc::default()).await;
        let findings = diagnose(settings(base.clone()), &http(), OURS).await;
        assert!(
            findings.len() == 2 && findings.iter().all(|finding| finding.state == State::Fine),
            "{findings:?}"
        );
        let wrong =
            ProviderSettings { client_secret: Some(SecretText::new("wrong")), ..settings(base) };
        let findings = diagnose(wrong, &http(), OURS).await;
        assert!(
            findings
                .iter()
                .any(|finding| finding.is_wrong() && finding.setting == "AUTH_GITHUB_SECRET"),
            "{findings:?}"
        );
    }
}
