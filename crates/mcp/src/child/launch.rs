//! What a supervisor is told through the pipe that becomes the program's standard input: its
//! length, then JSON. And how a start that failed is reported, on the pipe that would have been its
//! standard output.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::sandbox::Sandbox;

/// More than any program could be given (arguments and variables together have 6 MiB at most).
const LONGEST: usize = 64 * 1024 * 1024;
/// How the line of a start that failed begins.
const FAILED: &str = r#"{"portunus_start_failed":"#;

/// One program to become. Holds secrets: the variables.
#[derive(Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    /// All of its environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: Option<String>,
    pub(crate) sandbox: Sandbox,
}

impl Launch {
    /// As it travels.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, self)?;
        let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        Ok(bytes)
    }

    /// Reads one, and not a byte more: what follows is the program's.
    pub(crate) fn read(
        mut fill: impl FnMut(&mut [u8]) -> std::io::Result<()>,
    ) -> Result<Self, String> {
        let mut length = [0; 4];
        fill(&mut length).map_err(|error| format!("no launch: {error}"))?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err("arguments and variables are too long".to_owned());
        }
        let mut json = vec![0; length];
        fill(&mut json).map_err(|error| format!("no launch: {error}"))?;
        // What cannot be read may be secret.
        serde_json::from_slice(&json).map_err(|_| "a launch that cannot be read".to_owned())
    }
}

/// The line that says why a program was not started.
pub(crate) fn failure(why: &str) -> String {
    format!("{FAILED}{}}}\n", serde_json::Value::from(why))
}

/// What such a line says. A server that writes one says of itself that it was not started.
pub(crate) fn read_failure(line: &[u8]) -> Option<String> {
    let json = line.strip_prefix(FAILED.as_bytes())?.strip_suffix(b"}")?;
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::ffi::OsStringExt as _};

    use super::*;

    #[test]
    fn a_launch_comes_out_as_it_went_in_and_the_rest_stays() {
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let launch = Launch {
            command: "x".to_owned(),
            args: vec!["a \"b\"".to_owned()],
            env: vec![("N".into(), odd.clone())],
            cwd: None,
            sandbox: Sandbox::default(),
        };
        let mut bytes = launch.encode().unwrap();
        bytes.extend_from_slice(b"rest");
        let mut reader = bytes.as_slice();
        let read = Launch::read(|buffer| reader.read_exact(buffer)).unwrap();
        assert_eq!(
            (read.command, read.args, read.env),
            (launch.command, launch.args, vec![("N".into(), odd)])
        );
        assert_eq!(reader, b"rest");
    }

    #[test]
    fn what_is_no_launch_is_refused_without_repeating_it() {
        for bytes in [&b""[..], b"\x01", b"\xff\xff\xff\xff", b"\x02\0\0\0hunter22"] {
            let mut reader = bytes;
            let error = Launch::read(|buffer| reader.read_exact(buffer)).err().unwrap();
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn a_failure_is_one_line() {
        let line = failure("a\n\"b\"");
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(read_failure(line.trim_end().as_bytes()), Some("a\n\"b\"".to_owned()));
        for other in ["", "{}", r#"{"portunus_start_failed":7}"#, r#"{"jsonrpc":"2.0"}"#] {
            assert_eq!(read_failure(other.as_bytes()), None, "{other}");
        }
    }
}
