//! Files that another account could change (threat 67), at the program itself: it does not start
//! with them, and does not follow them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use serde_json::json;

use crate::fixture::program::{Program, until};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn count(program: &Program, text: &str) -> usize {
    program.log().matches(text).count()
}

const REFUSED: &str = "the configuration is not reloaded";
const RELOADED: &str = "the configuration is reloaded";

#[tokio::test]
async fn t67_a_file_that_others_may_write_runs_nothing() {
    let program = Program::start(&[]).await;
    let (folder, mcp_json) = (program.folder.path(), program.folder.path().join("mcp.json"));
    let (_, mcp) = program.connect().await;
    let canary = folder.join("canary");
    // What a stranger would write.
    let evil = json!({"mcpServers": {
        "uuid": {"url": program.server.url().as_str()},
        "evil": {"command": "/usr/bin/touch", "args": [canary.to_str().unwrap()], "isolation": "shared"},
    }});
    chmod(&mcp_json, 0o666);
    fs::write(&mcp_json, evil.to_string()).unwrap();
    until(|| count(&program, REFUSED) >= 1).await;
    let log = program.log();
    let mistake = log
        .lines()
        .find(|line| line.contains("a mistake in the configuration"))
        .expect("it is logged with its place");
    for part in
        ["mcp.json:1", "can be changed by every user of this machine (mode 0666)", "chmod go-w"]
    {
        assert!(mistake.contains(part), "{part}: {mistake}");
    }
    assert!(
        !mcp.tools().await.iter().any(|tool| tool.starts_with("evil")),
        "the gateway goes on with what it had"
    );
    assert!(!canary.exists(), "nothing of it was run");

    // `check` says the same, and another gateway does not start.
    for command in ["check", "serve"] {
        let output = program.run(&[command], &[]).await;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("can be changed by every user") && said.contains("chmod go-w"),
            "{command}: {said}"
        );
    }
    let allowed = program.run(&["check"], &[("ALLOW_WRITABLE_FILES", "1")]).await;
    let said = String::from_utf8_lossy(&allowed.stdout);
    assert_eq!(allowed.status.code(), Some(0), "{said}");
    assert!(said.contains("can be changed by every user"), "it is still pointed out: {said}");
    assert!(!canary.exists());

    // Once it is the administrator's alone, it is followed, and need not be touched again.
    fs::write(
        &mcp_json,
        json!({"mcpServers": {"other": {"url": program.server.url().as_str()}}}).to_string(),
    )
    .unwrap();
    chmod(&mcp_json, 0o644);
    until(|| count(&program, RELOADED) >= 1).await;
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0));
}

#[tokio::test]
async fn t67_nor_one_that_others_may_exchange() {
    let program = Program::start(&[]).await;
    let folder = program.folder.path();
    let mcp_json = folder.join("mcp.json");
    let servers = |name: &str| {
        json!({"mcpServers": {name: {"url": program.server.url().as_str()}}}).to_string()
    };
    // The folder it lies in.
    chmod(folder, 0o777);
    fs::write(&mcp_json, servers("first")).unwrap();
    until(|| count(&program, REFUSED) >= 1).await;
    assert!(program.log().contains("the folder"), "{}", program.log());
    chmod(folder, 0o755);
    until(|| count(&program, RELOADED) >= 1).await;
    // A folder behind a link.
    let refused = count(&program, REFUSED);
    let open = folder.join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("servers.json"), servers("second")).unwrap();
    chmod(&open, 0o777);
    fs::remove_file(&mcp_json).unwrap();
    symlink("open/servers.json", &mcp_json).unwrap();
    until(|| count(&program, REFUSED) > refused).await;
    let reloaded = count(&program, RELOADED);
    chmod(&open, 0o1777);
    until(|| count(&program, RELOADED) > reloaded).await;
    // A secret that is new.
    let variables = [("AUTH_OKTA_SECRET", ""), ("AUTH_OKTA_SECRET_FILE", "okta-secret")];
    fs::write(folder.join("okta-secret"), "a-secret-in-a-file-of-its-own").unwrap();
    chmod(&folder.join("okta-secret"), 0o602);
    let output = program.run(&["check"], &variables).await;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("okta-secret can be changed by every user")
            && !said.contains("a-secret-in-a-file"),
        "{said}"
    );
    chmod(&folder.join("okta-secret"), 0o644);
    let output = program.run(&["check"], &variables).await;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("can be read by every user of this machine: chmod o-r okta-secret"),
        "{said}"
    );
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0));
}
