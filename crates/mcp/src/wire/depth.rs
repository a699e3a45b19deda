//! How deep a message may nest, found before anything recursive meets it. Reading what is inside is next door, in [`super::members`].

/// How deep a message may nest. Most JSON parsers give up at 128 too.
pub const MAX_DEPTH: usize = 128;

/// Does the text nest too deep? Says nothing about its validity.
pub(super) fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
