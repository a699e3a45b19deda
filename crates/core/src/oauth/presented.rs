//! A token as a client presents it to be revoked ([`super::revoke`]) or introspected
//! ([`super::introspect`]). Its prefix says of which kind it is, so `token_type_hint` has nothing
//! to add and is not read (RFC 7009 section 2.1, RFC 7662 section 2.1).

use super::{OAuthError, params::Params};
use crate::{
    refresh::PresentedRefresh,
    secret::{TokenHash, TokenKind, TokenSecret},
};

/// A token of ours by its looks; whether we know it is for the store to say. An agent key is an
/// access token.
#[derive(Clone, Debug)]
pub enum Presented {
    Access(TokenHash),
    Refresh(PresentedRefresh),
}

/// The form's `token`; `None` if it is none that we could ever have issued.
pub fn presented(form: &Params) -> Result<Option<Presented>, OAuthError> {
    let token = form.require("token")?;
    let access = [TokenKind::Access, TokenKind::AgentKey]
        .into_iter()
        .find_map(|kind| TokenSecret::parse(kind, token))
        .map(|secret| Presented::Access(secret.hash()));
    Ok(access.or_else(|| PresentedRefresh::parse(token).map(Presented::Refresh)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SeededEntropy, refresh::RefreshKey};

    #[test]
    fn tokens_tell_their_kind_whatever_the_hint() {
        let entropy = SeededEntropy::new(1);
        let mint = |kind| TokenSecret::generate(kind, &entropy);
        let (access, refresh, code) =
            (mint(TokenKind::Access), mint(TokenKind::Refresh), mint(TokenKind::Code));
        let agent_key = mint(TokenKind::AgentKey);
        let family = crate::oauth::token::samples::family();
        for hint in [
            "",
            "&token_type_hint=access_token",
            "&token_type_hint=refresh_token",
            "&token_type_hint=pigeon",
        ] {
            let read = |token: &str| {
                presented(&Params::parse(format!("token={token}{hint}").as_bytes()).unwrap())
            };
            let key = |token: &str| match read(token) {
                Ok(Some(Presented::Refresh(presented))) => Some(presented.key()),
                _ => None,
            };
            assert!(
                matches!(read(access.expose()), Ok(Some(Presented::Access(hash))) if hash == access.hash())
            );
            assert!(
                matches!(read(agent_key.expose()), Ok(Some(Presented::Access(hash))) if hash == agent_key.hash())
            );
            assert_eq!(key(refresh.expose()), Some(RefreshKey::Earlier(refresh.hash())));
            assert_eq!(key(family.token().expose()), Some(RefreshKey::Family(family.id)));
            assert!(matches!(read(code.expose()), Ok(None)));
            assert!(matches!(read(&access.expose()[..40]), Ok(None)));
            assert!(read("").is_err(), "token is required");
        }
    }
}
