//! The steps of a request for tokens, the same for every grant type: what is presented is checked,
//! whose it is must be admitted, then tokens are issued. A grant type cannot leave a step out:
//! [`GrantType::issue`] takes an [`Admitted`], which only [`run`] makes.

use std::net::IpAddr;

use portunus_core::{
    ids::UserId,
    oauth::{
        params::Params,
        token::{self, AuthenticatedClient, Issuing, TokenResponse},
    },
    principal::User,
    store::StoreError,
};

use super::state::TokenState;
use crate::{
    audit::RequestAudit,
    edge::{oauth::support::answers::Failure, providers::Standing},
};

/// How often a request is checked again because another request changed what it is about.
///
/// Of requests with refresh tokens of one family at the same time one succeeds each time, and all
/// that ask for the same then find what that one wrote: as many rounds are needed as there are
/// different resources and scopes among them.
const ATTEMPTS: usize = 32;

/// A request whose client has proven itself.
pub(super) struct TokenRequest<'a> {
    pub(super) state: &'a TokenState,
    pub(super) client: &'a AuthenticatedClient,
    pub(super) form: &'a Params,
    pub(super) peer: IpAddr,
    pub(super) audit: &'a RequestAudit,
}

/// Whose tokens are asked for.
pub(super) enum Subject<'a> {
    /// A person, as their provider last described them.
    Person(&'a UserId),
    /// The client itself.
    Client(&'a User),
}

/// The subject is admitted by the configuration in force (threat 53).
pub(super) struct Admitted(());

/// What issuing came to.
pub(super) enum Issued {
    Answer(TokenResponse),
    /// Another request changed what was checked, and nothing was written: it is to be checked
    /// again.
    Outdated,
}

/// One grant type (RFC 6749 section 1.3).
pub(super) trait GrantType: Sized {
    /// What was found to be sound.
    type Checked;

    /// What the form presents.
    fn read(form: &Params) -> Result<Self, Failure>;

    /// Is it sound, and the client's? What is presented a second time ends its grant here (threats
    /// 15, 17).
    async fn check(
        &self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
    ) -> Result<Self::Checked, Failure>;

    /// Whose it is.
    fn subject(checked: &Self::Checked) -> Subject<'_>;

    /// Writes the tokens, in one atomic step of the store.
    async fn issue(
        &mut self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
        checked: Self::Checked,
        admitted: Admitted,
    ) -> Result<Issued, Failure>;
}

/// Takes the steps, again if need be.
pub(super) async fn run<G: GrantType>(
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, Failure> {
    let mut grant_type = G::read(request.form)?;
    for _ in 0..ATTEMPTS {
        let issuing = request.state.issuing();
        let checked = grant_type.check(request, &issuing).await?;
        let admitted = admit(request, G::subject(&checked)).await?;
        match grant_type.issue(request, &issuing, checked, admitted).await? {
            Issued::Answer(answer) => return Ok(answer),
            Issued::Outdated => {}
        }
    }
    Err(StoreError::Unavailable("a family of refresh tokens changes all the time".to_owned())
        .into())
}

/// Nothing new for a subject that the configuration does not admit any more: of a person, by what
/// their provider says of them now, if it lets that be read and answers in time. The grant stays:
/// if it was the rule that was wrong, mending it is enough.
async fn admit(request: &TokenRequest<'_>, subject: Subject<'_>) -> Result<Admitted, Failure> {
    let state = request.state;
    if let Subject::Person(user) = subject
        && state.disabled.now().is_person_disabled(user)
    {
        return Err(Failure::disabled_grant(user, &request.client.client().id));
    }
    let found;
    let user = match subject {
        Subject::Person(user) => {
            state.reader.read(user).await;
            found = state.logins.find_user(user).await?;
            found.as_ref()
        }
        Subject::Client(user) => Some(user),
    };
    match user {
        Some(user) if state.providers.admit(user) => Ok(Admitted(())),
        Some(user) if matches!(state.providers.standing(user), Standing::TooLongAgo) => {
            Err(token::described_too_long_ago().into())
        }
        _ => Err(token::not_admitted().into()),
    }
}
