//! `portunus install` as it is typed: which file is written, and what a terminal is shown.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn install(folder: &Path, client: &str, more: &[&str]) -> (String, Output) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command.args(["install", client, "https://mcp.acme.com/mcp"]).args(more);
    let output = command.current_dir(folder).env_clear().output().unwrap();
    let shown = [&output.stdout[..], &output.stderr].concat();
    (String::from_utf8(shown).unwrap(), output)
}

#[test]
fn a_file_without_a_folder_is_in_this_one() {
    let folder = tempfile::tempdir().unwrap();
    for (client, file) in [("cursor", "mcp.json"), ("codex", "config.toml")] {
        for expected in ["Written.", "has this server already"] {
            let (text, output) = install(folder.path(), client, &["--file", file, "--yes"]);
            assert!(output.status.success() && text.contains(expected), "{text}");
        }
        let written = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(written.contains("https://mcp.acme.com/mcp"), "{written}");
    }
}

#[test]
fn the_way_to_sign_in_is_the_one_that_was_installed() {
    let folder = tempfile::tempdir().unwrap();
    let more = |file| ["--yes", "--file", file, "--client-id", "it's", "--scope", "a b"];
    let (text, _) = install(folder.path(), "codex", &more("one.toml"));
    let typed = "connect --login https://mcp.acme.com/mcp --client-id 'it'\\''s' --scope 'a b'\n";
    assert!(text.ends_with(typed), "{text}");
    let more = ["--yes", "--file", "two.toml", "--header", "Authorization: Bearer not-a-secret"];
    let (text, _) = install(folder.path(), "codex", &more);
    assert!(text.ends_with("Start the client anew.\n"), "{text}");
}

#[test]
fn what_a_file_holds_does_not_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "# a\u{202e}b\u{9b}2Jc\n\t[mcp_servers.other]\n\turl = \"x\"\n";
    fs::write(folder.path().join("config.toml"), hostile).unwrap();
    let (text, _) = install(folder.path(), "codex", &["--file", "config.toml", "--yes"]);
    assert!(text.contains("\turl") && !text.contains(['\u{202e}', '\u{9b}']), "{text}");
    let broken = "a = \u{202e}\u{1b}[2J";
    fs::write(folder.path().join("config.toml"), broken).unwrap();
    let (text, output) = install(folder.path(), "codex", &["--file", "config.toml", "--yes"]);
    assert!(!output.status.success() && text.contains("put this into it yourself:\n\n["), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
    assert_eq!(fs::read_to_string(folder.path().join("config.toml")).unwrap(), broken);
}
