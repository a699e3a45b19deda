//! One person with a browser and MCP clients, who does everything that clients do, as fast as it
//! goes, and writes each step into the [`History`]. An answer that does not come is no reason to
//! stop.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::future::join_all;
use http::Method;
use portunus_testkit::agent::{
    Agent, Authorization, Discovery, Landing, NoAnswer, OAuthClient, Page, Request,
};
use serde_json::{Value, json};

use super::{
    chance::Chance,
    history::{History, Operation, Outcome},
};

const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";
/// More than these are not kept: some are revoked, others given up.
const GRANTS: usize = 5;
/// Of those that were ended, the last ones are tried again.
const ENDED: usize = 20;
/// Between two attempts when no gateway serves the request.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Client {
    pub(crate) url: String,
    discovery: Discovery,
    history: Arc<History>,
    chance: Chance,
    browser: Agent,
    registered: Option<OAuthClient>,
    grants: Vec<Grant>,
    ended: VecDeque<Grant>,
}

/// What came of a code, as far as it is held on to.
struct Grant {
    client: OAuthClient,
    /// The last refresh token, and an access token or two.
    refresh: String,
    access: Vec<String>,
}

impl Client {
    /// Of a gateway that runs, for what it guards at `url`.
    pub(crate) async fn meet(url: &str, history: &Arc<History>, seed: u64) -> Self {
        let browser = Agent::new();
        let discovery = Discovery::of(&browser, url).await;
        let (history, chance) = (Arc::clone(history), Chance::new(seed));
        let (grants, ended) = (Vec::new(), VecDeque::new());
        Self {
            url: url.to_owned(),
            discovery,
            history,
            chance,
            browser,
            registered: None,
            grants,
            ended,
        }
    }

    /// Does one thing or another.
    pub(crate) async fn step(&mut self) {
        match self.chance.below(100) {
            0..4 => self.begin_anew().await,
            4..30 => self.connect().await,
            30..36 => self.use_a_code_twice().await,
            36..70 => self.refresh().await,
            70..85 => self.use_a_token().await,
            85..90 => self.try_what_was_ended().await,
            _ => self.revoke().await,
        }
        while self.grants.len() > GRANTS {
            self.revoke().await;
        }
    }

    /// Uses everything that is held.
    pub(crate) async fn use_everything(&mut self) {
        for n in 0..self.grants.len() {
            for token in self.grants[n].access.clone() {
                self.call(&token).await;
            }
        }
    }

    /// The same, and a refresh of each grant: when all is over, all that was not ended is there,
    /// and nothing else.
    pub(crate) async fn take_stock(&mut self) {
        self.use_everything().await;
        for _ in 0..self.ended.len() {
            self.try_what_was_ended().await;
        }
        for n in 0..self.grants.len() {
            self.refresh_one(n, 1).await;
        }
        self.use_everything().await;
    }

    /// Another browser, without a login, and another client.
    async fn begin_anew(&mut self) {
        self.browser = Agent::new();
        self.registered = None;
        self.connect().await;
    }

    async fn register(&mut self) -> Option<OAuthClient> {
        if let Some(client) = &self.registered {
            return Some(client.clone());
        }
        let metadata = json!({
            "client_name": "Test client", "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let endpoint = self.endpoint("registration_endpoint");
        let began = self.history.begin();
        let answer =
            self.browser.try_send(Request::json(&endpoint, &metadata).without_cookies()).await;
        let outcome = outcome_of(answer, |page| {
            let id = page.json()["client_id"].as_str().map(str::to_owned)?;
            Some(Outcome::Registered { client: id })
        });
        self.history.end(began, Operation::Register, &outcome);
        let Outcome::Registered { client } = outcome else {
            tokio::time::sleep(PAUSE).await;
            return None;
        };
        self.registered = Some(OAuthClient {
            agent: self.browser.clone(),
            discovery: self.discovery.clone(),
            id: client,
            secret: None,
            auth_method: "none".to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
            registration: Value::Null,
        });
        self.registered.clone()
    }

    fn endpoint(&self, name: &str) -> String {
        self.discovery.server[name].as_str().unwrap().to_owned()
    }

    /// Takes the browser through an authorization, with whatever pages there are on the way.
    async fn authorize(&self, client: &OAuthClient) -> Option<(Authorization, String)> {
        let authorization = client.authorization();
        self.browser.stop_at(&client.redirect_uri);
        let began = self.history.begin();
        let outcome = match self.walk(&authorization).await {
            Err(_) => Outcome::Unknown,
            Ok(Landing::Page(page)) if page.status == 503 => Outcome::Unavailable,
            // The page that an unknown client gets.
            Ok(Landing::Page(page)) if page.text().contains("not registered") => {
                Outcome::Refused("invalid_client".to_owned())
            }
            Ok(Landing::Page(page)) => Outcome::Refused(format!("{page:?}")),
            Ok(Landing::Client(returned)) => {
                match (returned.find("code"), returned.find("error")) {
                    (Some(code), _) => Outcome::Code(code),
                    (None, Some(error)) if error == "temporarily_unavailable" => {
                        Outcome::Unavailable
                    }
                    (None, error) => Outcome::Refused(error.unwrap_or_default()),
                }
            }
        };
        self.history.end(began, Operation::Authorize { client: client.id.clone() }, &outcome);
        if let Outcome::Code(code) = outcome {
            return Some((authorization, code));
        }
        tokio::time::sleep(PAUSE).await;
        None
    }

    async fn walk(&self, authorization: &Authorization) -> Result<Landing, NoAnswer> {
        let landing = self.browser.try_visit(Request::get(authorization.url().as_str())).await?;
        match landing {
            Landing::Page(page) if page.has_form("/auth/consent") => {
                self.browser
                    .try_visit(page.form("/auth/consent").request([("decision", "allow")]))
                    .await
            }
            landing => Ok(landing),
        }
    }

    async fn connect(&mut self) {
        let Some(client) = self.register().await else { return };
        let Some((authorization, code)) = self.authorize(&client).await else { return };
        // A client that hears nothing tries again, once: it is served now, or was before and has
        // lost what came of it.
        for _ in 0..2 {
            let outcome = self.redeem(&client, &authorization, &code).await;
            if let Outcome::Tokens { access, refresh } = outcome {
                self.grants.push(Grant { client, refresh, access: vec![access] });
                return;
            }
            if !outcome.is_unclear() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One after the other, or both at once; what came of it is used, for it has to have ended.
    async fn use_a_code_twice(&mut self) {
        let Some(client) = self.register().await else { return };
        let Some((authorization, code)) = self.authorize(&client).await else { return };
        let outcomes = if self.chance.below(2) == 0 {
            let first = self.redeem(&client, &authorization, &code).await;
            [first, self.redeem(&client, &authorization, &code).await]
        } else {
            let both = [
                self.redeem(&client, &authorization, &code),
                self.redeem(&client, &authorization, &code),
            ];
            join_all(both).await.try_into().unwrap()
        };
        for outcome in outcomes {
            if let Outcome::Tokens { access, .. } = outcome {
                self.call(&access).await;
            }
        }
    }

    async fn redeem(
        &self,
        client: &OAuthClient,
        authorization: &Authorization,
        code: &str,
    ) -> Outcome {
        let resource = authorization.find("resource").unwrap_or_default();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", &authorization.verifier),
            ("resource", resource),
            ("client_id", &client.id),
        ];
        self.ask_for_tokens(Operation::Redeem { code: code.to_owned() }, &fields).await
    }

    async fn refresh(&mut self) {
        if self.grants.is_empty() {
            return self.connect().await;
        }
        let (n, at_once) =
            (self.chance.index(self.grants.len()), [1, 1, 1, 2, 4][self.chance.index(5)]);
        self.refresh_one(n, at_once).await;
    }

    /// Exchanges the refresh token of a grant, several times at once; a request without an answer
    /// is sent again.
    async fn refresh_one(&mut self, n: usize, at_once: usize) {
        let (client, token) = (self.grants[n].client.clone(), self.grants[n].refresh.clone());
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
            ("client_id", &client.id),
        ];
        let mut refused = 0;
        // A gateway that is not back by then never comes back.
        for _ in 0..1000 {
            let asked = (0..at_once)
                .map(|_| self.ask_for_tokens(Operation::Refresh { token: token.clone() }, &fields));
            let outcomes = join_all(asked).await;
            let grant = &mut self.grants[n];
            for outcome in &outcomes {
                if let Outcome::Tokens { access, refresh } = outcome {
                    grant.refresh.clone_from(refresh);
                    grant.access.insert(0, access.clone());
                    grant.access.truncate(3);
                }
            }
            refused +=
                outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused(_))).count();
            if refused > 0 || outcomes.iter().any(Outcome::is_acknowledged) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("nobody answers");
    }

    async fn ask_for_tokens(&self, operation: Operation, fields: &[(&str, &str)]) -> Outcome {
        let endpoint = self.endpoint("token_endpoint");
        let request =
            Request::form(Method::POST, &endpoint, fields.iter().copied()).without_cookies();
        let began = self.history.begin();
        let outcome = outcome_of(self.browser.try_send(request).await, |page| {
            let tokens = page.json();
            let text = |name: &str| tokens[name].as_str().map(str::to_owned);
            Some(Outcome::Tokens { access: text("access_token")?, refresh: text("refresh_token")? })
        });
        self.history.end(began, operation, &outcome);
        outcome
    }

    async fn use_a_token(&mut self) {
        let tokens: Vec<String> =
            self.grants.iter().flat_map(|grant| grant.access.clone()).collect();
        if !tokens.is_empty() {
            self.call(&tokens[self.chance.index(tokens.len())]).await;
        }
    }

    async fn call(&self, token: &str) {
        let began = self.history.begin();
        let answer =
            self.browser.try_send(Request::get(&self.url).without_cookies().bearer(token)).await;
        let outcome = outcome_of(answer, |_| Some(Outcome::Done));
        self.history.end(began, Operation::Use { token: token.to_owned() }, &outcome);
        if outcome.is_unclear() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends a grant, or one access token of it; what was ended is used once more.
    async fn revoke(&mut self) {
        if self.grants.is_empty() {
            return;
        }
        let n = self.chance.index(self.grants.len());
        if self.chance.below(4) == 0 && self.grants[n].access.len() > 1 {
            let token = self.grants[n].access.pop().unwrap();
            let client = self.grants[n].client.id.clone();
            self.end(Operation::RevokeAccess { token: token.clone() }, &token, &client).await;
            return self.call(&token).await;
        }
        let Grant { client, refresh, access } = self.grants.swap_remove(n);
        self.end(Operation::RevokeRefresh { token: refresh.clone() }, &refresh, &client.id).await;
        for token in &access {
            self.call(token).await;
        }
        self.ended.push_back(Grant { client, refresh, access });
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    /// The oldest of what was revoked, whatever the answer was.
    async fn try_what_was_ended(&mut self) {
        let Some(grant) = self.ended.pop_front() else { return };
        for token in &grant.access {
            self.call(token).await;
        }
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*grant.refresh),
            ("client_id", &*grant.client.id),
        ];
        self.ask_for_tokens(Operation::Refresh { token: grant.refresh.clone() }, &fields).await;
    }

    async fn end(&self, operation: Operation, token: &str, client: &str) {
        let request = Request::form(
            Method::POST,
            &self.endpoint("revocation_endpoint"),
            [("token", token), ("client_id", client)],
        );
        let began = self.history.begin();
        let outcome = outcome_of(self.browser.try_send(request.without_cookies()).await, |_| {
            Some(Outcome::Done)
        });
        self.history.end(began, operation, &outcome);
    }
}

/// What an answer says; `done` reads a success.
fn outcome_of(
    answer: Result<Page, NoAnswer>,
    done: impl FnOnce(&Page) -> Option<Outcome>,
) -> Outcome {
    let Ok(page) = answer else { return Outcome::Unknown };
    match page.status.as_u16() {
        200..300 => done(&page).unwrap_or_else(|| Outcome::Refused(format!("{page:?}"))),
        503 => Outcome::Unavailable,
        400 | 401 => {
            let body: Value = serde_json::from_str(&page.body).unwrap_or_default();
            Outcome::Refused(
                body["error"].as_str().map_or_else(|| format!("{page:?}"), str::to_owned),
            )
        }
        _ => Outcome::Refused(format!("{page:?}")),
    }
}
