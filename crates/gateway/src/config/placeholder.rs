//! Values that were copied from an example and never filled in.

/// Secrets that stand in public documents: they keep nothing secret.
const PUBLISHED: [&str; 2] =
    ["E/MAdDq0B1aX+MGNyVlEUk0WzRpCdimlCrUOKST1CxKH", "very-long-random-string-for-production"];

/// Is this the example's own value? Both old systems' documents and ours are covered.
pub(super) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let begins = [
        "your-",
        "your_",
        "<",
        "xxx",
        "replace-me",
        "replace_me",
        "changeme",
        "change-me",
        "0xxxxxxx",
    ];
    let holds = ["xxxxxxxx", "//your-", "//dev-00000000.", "//replace-me"];
    PUBLISHED.contains(&text)
        || begins.iter().any(|part| lower.starts_with(part))
        || holds.iter().any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_the_old_guides() {
        let examples = [
            "your-super-secret-jwt-key-generate-with-openssl-rand-base64-33",
            "your-okta-client-id",
            "https://your-okta-domain.okta.com/oauth2/default",
            "https://your-company.okta.com/oauth2/default",
            "https://dev-00000000.okta.com",
            "0xxxxxxxxxxxxxxxx",
            "XXXXXXXXXXXXXXXXXXXX",
            "xxx.apps.googleusercontent.com",
            "GOCSPX-xxxxxxxxxx",
            "E/MAdDq0B1aX+MGNyVlEUk0WzRpCdimlCrUOKST1CxKH",
            "very-long-random-string-for-production",
        ];
        for example in examples {
            assert!(is_placeholder(example), "{example}");
        }
        for real in [
            "0oa1b2c3d4e5f6g7h8i9",
            "https://acme.okta.com",
            "https://dev-1234567.okta.com/oauth2/default",
            "secret",
        ] {
            assert!(!is_placeholder(real), "{real}");
        }
    }
}
