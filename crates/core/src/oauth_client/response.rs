//! What an authorization response must be before its code goes anywhere (RFC 6749 section 4.1.2,
//! RFC 9207 section 2.4): the answer to this very request, from the issuer that was asked
//! (threats 91, 92).

use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::{
    secret::SecretText,
    text::{Label, Sentence},
};

/// What was remembered when the browser was sent away.
#[derive(Clone, Debug)]
pub struct Expected {
    pub state: SecretText,
    /// Of the metadata, as it is written there.
    pub issuer: String,
    /// `authorization_response_iss_parameter_supported`.
    pub names_issuer: bool,
}

/// Why there is no code. [`NotOurs`](Self::NotOurs) does not end the wait: anybody can send such a
/// request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadResponse {
    #[error("the answer is none to this sign-in")]
    NotOurs,
    #[error("the answer names another issuer than {0}, or none: it is not used")]
    Issuer(String),
    #[error("a parameter of the answer is there twice")]
    Repeated,
    #[error("the sign-in ended with `{error}`{}", .description.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused { error: String, description: Option<String> },
    #[error("the answer has no code")]
    NoCode,
}

/// The code of a response with these parameters, which are decoded.
pub fn check(
    parameters: &[(String, String)],
    expected: &Expected,
) -> Result<SecretText, BadResponse> {
    let one = |name: &str| {
        let mut values = parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(BadResponse::Repeated),
            (value, None) => Ok(value),
        }
    };
    let state = one("state").ok().flatten().ok_or(BadResponse::NotOurs)?;
    if !bool::from(state.as_bytes().ct_eq(expected.state.expose().as_bytes())) {
        return Err(BadResponse::NotOurs);
    }
    let is_sound = match one("iss")? {
        Some(issuer) => *issuer == expected.issuer,
        None => !expected.names_issuer,
    };
    if !is_sound {
        return Err(BadResponse::Issuer(expected.issuer.clone()));
    }
    if let Some(error) = one("error")? {
        let description = one("error_description")?.map(|text| Sentence::new(text).to_string());
        return Err(BadResponse::Refused { error: Label::new(error).to_string(), description });
    }
    match one("code")? {
        Some(code) if !code.is_empty() => Ok(SecretText::new(code.as_str())),
        _ => Err(BadResponse::NoCode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t91_t92_a_code_is_taken_from_the_issuer_and_for_the_state_that_were_asked() {
        let expected = |names_issuer| Expected {
            state: SecretText::new("s"),
            issuer: "https://as".into(),
            names_issuer,
        };
        let refused = |error: &str| {
            Err(BadResponse::Refused { error: error.into(), description: Some("why".into()) })
        };
        let issuer = || Err(BadResponse::Issuer("https://as".into()));
        for (promised, query, found) in [
            (true, "code=c&state=s&iss=https://as", Ok("c")),
            (false, "code=c&state=s", Ok("c")),
            (false, "code=c&state=s&iss=https://as", Ok("c")),
            (true, "code=c&state=s", issuer()),
            (true, "code=c&state=s&iss=https://evil", issuer()),
            (false, "code=c&state=s&iss=https://as/", issuer()),
            (false, "code=c&state=s&iss=HTTPS://as", issuer()),
            (true, "error=access_denied&error_description=why&state=s&iss=https://evil", issuer()),
            (
                true,
                "error=access_denied&error_description=why&state=s&iss=https://as",
                refused("access_denied"),
            ),
            (
                false,
                "error=access\u{202e}_denied\u{1b}&error_description=w\u{200b}h\u{9b}y&state=s",
                refused("access_denied"),
            ),
            (false, "code=c", Err(BadResponse::NotOurs)),
            (false, "code=c&state=t", Err(BadResponse::NotOurs)),
            (false, "error=access_denied&state=", Err(BadResponse::NotOurs)),
            (false, "code=c&state=s&state=s", Err(BadResponse::NotOurs)),
            (false, "code=c&code=d&state=s", Err(BadResponse::Repeated)),
            (true, "code=c&state=s&iss=https://as&iss=https://as", Err(BadResponse::Repeated)),
            (false, "code=&state=s", Err(BadResponse::NoCode)),
            (false, "state=s", Err(BadResponse::NoCode)),
        ] {
            let parameters: Vec<_> = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let code = check(&parameters, &expected(promised));
            assert_eq!(
                code.as_ref().map(SecretText::expose),
                found.as_ref().map(|code| *code),
                "{query}"
            );
        }
    }
}
