//! What a request wishes of the person's part: `prompt`, `max_age` and `login_hint` (OpenID Connect
//! Core section 3.1.2.1). What follows from it is decided in [`super::step`].

use crate::{
    oauth::{OAuthError, params::Params},
    signin::{Interaction, Prompt},
};

/// As long as an e-mail address can be (RFC 5321 section 4.5.3.1).
const MAX_HINT: usize = 320;

/// The values of `prompt` that are understood, for the metadata (`prompt_values_supported`).
pub const PROMPTS: [&str; 4] = ["none", "login", "consent", "select_account"];

pub(super) fn interaction(params: &Params) -> Result<Interaction, OAuthError> {
    let max_age = params.find("max_age").map(str::parse).transpose();
    let max_age =
        max_age.map_err(|_| OAuthError::invalid_request("max_age must be a number of seconds"))?;
    let login_hint = params.find("login_hint").map(str::to_owned);
    if login_hint.as_ref().is_some_and(|hint| hint.len() > MAX_HINT) {
        return Err(OAuthError::invalid_request("login_hint is too long"));
    }
    Ok(Interaction {
        prompt: prompt(params.find("prompt").unwrap_or_default())?,
        max_age,
        login_hint,
    })
}

fn prompt(text: &str) -> Result<Prompt, OAuthError> {
    let mut prompt = Prompt::default();
    let mut others = false;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.none = true,
            // An account is chosen at the provider, where the accounts are: `select_account` is a
            // sign-in too.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => {
                return Err(OAuthError::invalid_request(format!(
                    "prompt must be one or more of {}",
                    PROMPTS.join(", ")
                )));
            }
        }
        others |= word != "none";
    }
    if prompt.none && others {
        return Err(OAuthError::invalid_request("prompt=none goes with no other prompt"));
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::ErrorCode;

    #[test]
    fn prompts() {
        let prompt = |none, login, consent| Ok(Prompt { none, login, consent });
        let cases = [
            ("", prompt(false, false, false)),
            ("none", prompt(true, false, false)),
            ("login", prompt(false, true, false)),
            ("select_account", prompt(false, true, false)),
            ("consent login", prompt(false, true, true)),
            ("consent  consent", prompt(false, false, true)),
            ("none login", Err(ErrorCode::InvalidRequest)),
            ("consent none", Err(ErrorCode::InvalidRequest)),
            ("Login", Err(ErrorCode::InvalidRequest)),
            ("create", Err(ErrorCode::InvalidRequest)),
        ];
        for (text, expected) in cases {
            assert_eq!(super::prompt(text).map_err(|error| error.code), expected, "{text:?}");
        }
    }

    #[test]
    fn ages_and_hints() {
        let long = format!("login_hint={}", "a".repeat(321));
        let cases = [
            ("", Ok((None, None))),
            ("max_age=0", Ok((Some(0), None))),
            ("max_age=3600&login_hint=alice%40acme.com", Ok((Some(3600), Some("alice@acme.com")))),
            ("max_age=-1", Err(ErrorCode::InvalidRequest)),
            ("max_age=1.5", Err(ErrorCode::InvalidRequest)),
            ("max_age=soon", Err(ErrorCode::InvalidRequest)),
            (&long, Err(ErrorCode::InvalidRequest)),
        ];
        for (query, expected) in cases {
            let found = interaction(&Params::parse(query.as_bytes()).unwrap());
            let found = found
                .as_ref()
                .map(|found| (found.max_age, found.login_hint.as_deref()))
                .map_err(|error| error.code);
            assert_eq!(found, expected, "{query}");
        }
    }
}
