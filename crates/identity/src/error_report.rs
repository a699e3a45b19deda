//! Makes the errors of one provider: names the provider, and the settings an administrator must
//! change. The words that are Okta's own live in [`crate::okta`].

use portunus_core::{
    ids::ProviderName,
    text::{is_invisible, is_line_separator},
};

use crate::{
    fetch::{Answer, Trouble},
    provider::IdentityError,
};

/// Whom and what to name in an error.
#[derive(Clone, Debug)]
pub(crate) struct ErrorReport {
    provider: ProviderName,
    /// `AUTH_OKTA`: what stands before `_ISSUER`, `_ID`, `_SECRET`.
    prefix: String,
}

/// Texts of providers in our log are cut here.
const MAX_QUOTE: usize = 300;

impl ErrorReport {
    pub(crate) fn new(provider: ProviderName) -> Self {
        let prefix =
            format!("AUTH_{}", provider.as_str().to_ascii_uppercase().replace(['-', '.'], "_"));
        Self { provider, prefix }
    }

    /// The setting's name in the environment: `AUTH_OKTA_ISSUER`.
    pub(crate) fn setting(&self, what: &str) -> String {
        format!("{}_{what}", self.prefix)
    }

    pub(crate) fn provider(&self) -> &ProviderName {
        &self.provider
    }

    pub(crate) fn refused(
        &self,
        error: &str,
        description: &str,
        hint: impl Into<String>,
    ) -> IdentityError {
        IdentityError::Refused {
            provider: self.provider.clone(),
            error: quote(error),
            description: quote(description),
            hint: hint.into(),
        }
    }

    pub(crate) fn unavailable(&self, detail: impl Into<String>) -> IdentityError {
        let hint = format!(
            "Try again in a minute; if it goes on, check that this machine reaches the provider and that {} is right",
            self.setting("ISSUER")
        );
        self.unavailable_until(detail, hint)
    }

    pub(crate) fn unavailable_until(
        &self,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> IdentityError {
        IdentityError::Unavailable {
            provider: self.provider.clone(),
            detail: detail.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn misconfigured(
        &self,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> IdentityError {
        IdentityError::Misconfigured {
            provider: self.provider.clone(),
            detail: detail.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn unverified(&self, detail: impl Into<String>) -> IdentityError {
        IdentityError::Unverified { provider: self.provider.clone(), detail: detail.into() }
    }

    /// `what` could not be asked at all.
    pub(crate) fn trouble(&self, what: &str, trouble: &Trouble) -> IdentityError {
        match trouble {
            Trouble::TooLarge { limit } => self.misconfigured(
                format!("the {what} answered more than {limit} bytes"),
                format!(
                    "Check that {} is the issuer of an OpenID provider",
                    self.setting("ISSUER")
                ),
            ),
            Trouble::Timeout | Trouble::Transport(_) => {
                self.unavailable(format!("the {what} did not answer: {trouble}"))
            }
        }
    }

    /// `what` answered that it is overloaded or broken, which passes: 429 and 5xx.
    pub(crate) fn overload(&self, what: &str, answer: &Answer) -> Option<IdentityError> {
        let status = answer.status;
        if status.as_u16() == 429 {
            let until = answer
                .header("x-rate-limit-reset")
                .map(|at| format!(", rate limit resets at {} (Unix time)", quote(at)));
            let after =
                answer.header("retry-after").map(|wait| format!(", retry after {}", quote(wait)));
            let when = until.or(after).unwrap_or_default();
            let hint = "Wait until the limit resets; if it happens often, raise this application's rate limit at the provider";
            return Some(self.unavailable_until(format!("the {what} answered 429{when}"), hint));
        }
        (status.is_server_error() || status.as_u16() == 408)
            .then(|| self.unavailable(format!("the {what} answered {status}")))
    }
}

/// A text of the provider's, fit for one line of the log (threat 64).
pub(crate) fn quote(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !is_invisible(*c) && !is_line_separator(*c))
        .take(MAX_QUOTE)
        .collect()
}
