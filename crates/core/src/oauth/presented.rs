//! A token as a client presents it to be revoked ([`super::revoke`]) or introspected ([`super::introspect`]). Its prefix says of
//! which kind it is, so `token_type_hint` has nothing to add and is not read (RFC 7009 section 2.1, RFC 7662 section 2.1).

use super::{OAuthError, params::Params};
use crate::secret::{TokenHash, TokenKind, TokenSecret};

/// A token of ours by its looks; whether we know it is for the store to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    Access(TokenHash),
    Refresh(TokenHash),
}

/// The form's `token`; `None` if it is none that we could ever have issued.
pub fn presented(form: &Params) -> Result<Option<Presented>, OAuthError> {
    let token = form.require("token")?;
    let parse = |kind| TokenSecret::parse(kind, token).map(|secret| secret.hash());
    Ok(parse(TokenKind::Access).map(Presented::Access).or_else(|| parse(TokenKind::Refresh).map(Presented::Refresh)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn tokens_tell_their_kind_whatever_the_hint() {
        let entropy = SeededEntropy::new(1);
        let mint = |kind| TokenSecret::generate(kind, &entropy);
        let (access, refresh, code) = (mint(TokenKind::Access), mint(TokenKind::Refresh), mint(TokenKind::Code));
        for hint in ["", "&token_type_hint=access_token", "&token_type_hint=refresh_token", "&token_type_hint=pigeon"] {
            let read = |token: &str| presented(&Params::parse(format!("token={token}{hint}").as_bytes()).unwrap());
            assert_eq!(read(access.expose()), Ok(Some(Presented::Access(access.hash()))));
            assert_eq!(read(refresh.expose()), Ok(Some(Presented::Refresh(refresh.hash()))));
            assert_eq!(read(code.expose()), Ok(None));
            assert_eq!(read(&access.expose()[..40]), Ok(None));
            assert!(read("").is_err(), "token is required");
        }
    }
}
