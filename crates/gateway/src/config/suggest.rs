//! "Did you mean …?": the nearest of the names that are known.

use strsim::osa_distance;

/// The name nearest to what was written, if it is near enough to be meant.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = plain(written);
    let limit = (written.chars().count() / 3).clamp(1, 3);
    let scored = known.map(|name| (osa_distance(&written, &plain(name)), name));
    scored
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Case, `_` and `-` are what people mix up first.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let known = ["proxies", "providers", "public_url", "store", "listen"];
        let cases = [
            ("proxys", Some("proxies")),
            ("provider", Some("providers")),
            ("publicUrl", Some("public_url")),
            ("sotre", Some("store")),
            ("colour", None),
            ("", None),
        ];
        for (written, expected) in cases {
            assert_eq!(nearest(written, known.into_iter()), expected, "{written}");
        }
    }
}
