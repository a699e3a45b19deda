//! The limit on the depth of a message, checked before recursive code reads it. Members are read
//! next door, in [`super::members`].

/// How deep a message may nest. Most JSON parsers have this limit too.
pub const MAX_DEPTH: usize = 128;

/// Does the text nest too deep? Its validity is not checked.
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
