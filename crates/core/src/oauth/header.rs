//! The `Authorization` header, read byte by byte since its sender is unknown: `Bearer` (RFC 6750
//! section 2.1) on resources, `Basic` (RFC 6749 section 2.3.1) at the token endpoint (threats 22,
//! 23).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    oauth::{ErrorCode, OAuthError, metadata::Challenge, params::Params},
    secret::{SecretText, TokenKind, TokenSecret},
};

/// The access token, or agent key, of a header's value. Another scheme is no token at all.
pub fn bearer(value: &[u8]) -> Result<TokenSecret, Challenge> {
    bearer_of(TokenKind::Access, value).or_else(|challenge| match challenge {
        Challenge::InvalidToken => bearer_of(TokenKind::AgentKey, value),
        other => Err(other),
    })
}

/// The same for a token of another kind.
pub fn bearer_of(kind: TokenKind, value: &[u8]) -> Result<TokenSecret, Challenge> {
    let value = std::str::from_utf8(value).map_err(|_| Challenge::InvalidRequest)?;
    let (scheme, token) = value.split_once(' ').ok_or(Challenge::InvalidRequest)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Challenge::NoToken);
    }
    TokenSecret::parse(kind, token.trim()).ok_or(Challenge::InvalidToken)
}

/// Client id and secret of a header's value: each half percent-encoded. Clients that forget the
/// encoding are understood too, for our own ids and secrets have no character that it changes, and
/// those that administrators make have `+` at most (base64). So a `+` stands for itself here and
/// not for a space, which a secret has no business to contain.
pub fn basic(value: &[u8]) -> Result<(String, SecretText), OAuthError> {
    let malformed = || {
        OAuthError::new(
            ErrorCode::InvalidClient,
            "the Authorization header is not well-formed HTTP Basic",
        )
    };
    let value = std::str::from_utf8(value).map_err(|_| malformed())?;
    let (scheme, encoded) = value.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD
        .decode(encoded.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(malformed)?;
    let (id, secret) = decoded.split_once(':').ok_or_else(malformed)?;
    let unescape = |half: &str| {
        let encoded = half.replace('&', "%26").replace('+', "%2B");
        let params =
            Params::parse(format!("half={encoded}").as_bytes()).map_err(|_| malformed())?;
        Ok::<_, OAuthError>(params.find("half").unwrap_or_default().to_owned())
    };
    Ok((unescape(id)?, SecretText::new(unescape(secret)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn t22_t23_bearer() {
        let token = TokenSecret::generate(TokenKind::Access, &SeededEntropy::new(1));
        let text = token.expose();
        let key = TokenSecret::generate(TokenKind::AgentKey, &SeededEntropy::new(1));
        let key = key.expose();
        let code = TokenSecret::generate(TokenKind::Code, &SeededEntropy::new(1));
        let cases: [(Vec<u8>, Result<(), Challenge>); 13] = [
            (format!("Bearer {key}").into(), Ok(())),
            (format!("Bearer {}", &key[..key.len() - 1]).into(), Err(Challenge::InvalidToken)),
            (format!("Basic {key}").into(), Err(Challenge::NoToken)),
            (format!("Bearer {}", code.expose()).into(), Err(Challenge::InvalidToken)),
            (format!("Bearer {text}").into(), Ok(())),
            (format!("bearer {text}").into(), Ok(())),
            (format!("Bearer  {text} ").into(), Ok(())),
            (format!("Bearer {text}x").into(), Err(Challenge::InvalidToken)),
            (format!("Bearer {}", &text[..text.len() - 1]).into(), Err(Challenge::InvalidToken)),
            ("Bearer".into(), Err(Challenge::InvalidRequest)),
            ("Bearer ".into(), Err(Challenge::InvalidToken)),
            ("Basic eDp5".into(), Err(Challenge::NoToken)),
            (b"Bearer \xff\xfe".to_vec(), Err(Challenge::InvalidRequest)),
        ];
        for (value, expected) in cases {
            assert_eq!(bearer(&value).map(|_| ()), expected, "{}", String::from_utf8_lossy(&value));
        }
    }

    #[test]
    fn t23_basic() {
        let cases = [
            ("x:y", Some(("x", "y"))),
            ("x%3Az:y%2By", Some(("x:z", "y+y"))),
            ("x:y:z", Some(("x", "y:z"))),
            ("x:a&b", Some(("x", "a&b"))),
            ("x:a+b/c=", Some(("x", "a+b/c="))),
            ("x:a%2Bb%2Fc%3D", Some(("x", "a+b/c="))),
            (":", Some(("", ""))),
            ("xy", None),
            ("x:%ff", None),
        ];
        for (pair, expected) in cases {
            let header = format!("Basic {}", STANDARD.encode(pair));
            let found = basic(header.as_bytes()).ok();
            let found = found.as_ref().map(|(id, secret)| (id.as_str(), secret.expose()));
            assert_eq!(found, expected, "{pair}");
        }
        for header in ["Basic", "Basic !!!", "Bearer eDp5", "", "Basic gA=="] {
            assert!(basic(header.as_bytes()).is_err(), "{header}");
        }
    }
}
