//! Merged lists: order, bytes, pages, servers that are down or slow, changes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use portunus_mcp::{
    hub::{HubSettings, View},
    spec::Isolation,
};
use portunus_testkit::wait::eventually;
use serde_json::json;

use super::{
    client::{Client, caller, hub},
    fake::{Fakes, Script, name},
};

#[tokio::test]
async fn items_keep_their_bytes_but_for_the_name() {
    let odd = r#"{ "title":"\u00e9", "name" : "r\u006fll","inputSchema":{"type":"object","maximum":1.0e5},"x-y":{"name":"roll"} }"#;
    let fakes = Fakes::new(vec![
        Script::new("dice").with("tools/list", &[odd]),
        Script::new("uuid")
            .tools(&["make"])
            .with("resources/list", &[r#"{"uri":"a:\u0062" ,"n":1.0}"#]),
    ]);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    assert_snapshot!(client.raw("tools/list", "{}").await, @r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{ "title":"\u00e9", "name" : "dice_r\u006fll","inputSchema":{"type":"object","maximum":1.0e5},"x-y":{"name":"roll"} },{"name":"uuid_make","inputSchema":{"type":"object"}}]}}"#);
    assert_snapshot!(client.raw("resources/list", "{}").await, @r#"{"jsonrpc":"2.0","id":2,"result":{"resources":[{"uri":"a:\u0062" ,"n":1.0}]}}"#);
    assert_eq!(client.call("dice_roll").await["params"]["name"], "roll");
}

#[tokio::test]
async fn one_servers_lists_pass_untouched() {
    let mut dice = Script::new("dice").tools(&["a", "b", "c"]);
    dice.page_size = 2;
    let fakes = Fakes::new(vec![dice]);
    let client = Client::one(&hub(&fakes, HubSettings::default()), "alice", "dice").await;
    assert_snapshot!(client.raw("tools/list", "{}").await, @r#"{"jsonrpc":"2.0","id":1,"result":{"odd":1.0e5,"tools":[{"name":"a","inputSchema":{"type":"object"}} , {"name":"b","inputSchema":{"type":"object"}}],"nextCursor":"2"}}"#);
    assert_snapshot!(client.raw("tools/list", r#"{"cursor":"2"}"#).await, @r#"{"jsonrpc":"2.0","id":2,"result":{"odd":1.0e5,"tools":[{"name":"c","inputSchema":{"type":"object"}}]}}"#);
}

#[tokio::test]
async fn pages_of_a_merged_list() {
    let mut scripts = vec![];
    for server in ["a", "b", "c"] {
        let mut script = Script::new(server).tools(&["0", "1", "2", "3", "4"]);
        script.page_size = 2;
        scripts.push(script);
    }
    let settings = HubSettings { page_size: 4, ..HubSettings::default() };
    let client = Client::all(&hub(&Fakes::new(scripts), settings), "alice").await;
    let (mut names, mut sizes, mut params) = (Vec::new(), Vec::new(), json!({}));
    for page in 0.. {
        assert!(page < 20, "the pages have no end");
        let page = client.result("tools/list", params.clone()).await;
        let tools = page["tools"].as_array().unwrap();
        sizes.push(tools.len());
        names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.get("nextCursor") else { break };
        params = json!({ "cursor": cursor });
    }
    assert_eq!(sizes, [4, 4, 4, 3]);
    let expected: Vec<_> =
        ["a", "b", "c"].iter().flat_map(|s| (0..5).map(move |n| format!("{s}_{n}"))).collect();
    assert_eq!(names, expected);
    let prompts_cursor = json!({ "cursor": params["cursor"] });
    assert_eq!(
        client.error("prompts/list", prompts_cursor).await.0,
        -32602,
        "a cursor of another list"
    );
    assert_eq!(client.error("tools/list", json!({ "cursor": "nonsense" })).await.0, -32602);
}

#[tokio::test]
async fn servers_are_asked_once_and_only_for_what_they_have() {
    let mut dice = Script::new("dice").tools(&["roll"]);
    dice.capabilities = r#"{"tools":{}}"#.to_owned();
    let fakes = Fakes::new(vec![dice]);
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::all(&hub, "alice").await;
    for _ in 0..3 {
        client.tools().await;
        client.call("dice_roll").await;
    }
    assert_eq!(client.names("prompts/list", "prompts", "name").await, Vec::<String>::new());
    assert_eq!(fakes.script("dice").heard("tools/list").len(), 1);
    assert!(fakes.script("dice").heard("prompts/list").is_empty());
    Client::all(&hub, "bob").await.tools().await;
    assert_eq!(
        fakes.script("dice").heard("tools/list").len(),
        2,
        "each user has a list of their own"
    );
}

#[tokio::test]
async fn everybody_shares_the_list_of_a_shared_server() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"]).isolated(Isolation::Shared)]);
    let hub = hub(&fakes, HubSettings::default());
    for user in ["alice", "bob"] {
        assert_eq!(Client::all(&hub, user).await.tools().await, ["dice_roll"]);
    }
    assert_eq!(fakes.script("dice").heard("tools/list").len(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_is_left_out_until_it_is_back() {
    let fakes =
        Fakes::new(vec![Script::new("dead").tools(&["x"]), Script::new("dice").tools(&["roll"])]);
    fakes.script("dead").down.store(true, Ordering::SeqCst);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    assert_eq!(client.tools().await, ["dice_roll"]);
    fakes.script("dead").down.store(false, Ordering::SeqCst);
    eventually("the list of the dead one", async || {
        client.tools().await == ["dead_x", "dice_roll"]
    })
    .await;
    // Once known, a list outlives its server.
    fakes.script("dead").down.store(true, Ordering::SeqCst);
    fakes.breaks("dead");
    assert_eq!(client.tools().await, ["dead_x", "dice_roll"]);
}

#[tokio::test]
async fn a_server_that_hangs_delays_lists_by_the_deadline_only() {
    let fakes =
        Fakes::new(vec![Script::new("slow").tools(&["x"]), Script::new("dice").tools(&["roll"])]);
    fakes.script("slow").hangs.store(true, Ordering::SeqCst);
    let short = Duration::from_millis(300);
    let settings =
        HubSettings { list_deadline: short, greeting_deadline: short, ..HubSettings::default() };
    let client = Client::all(&hub(&fakes, settings), "alice").await;
    let met = fakes.script("slow").connects.load(Ordering::SeqCst);
    let began = Instant::now();
    assert_eq!(client.tools().await, ["dice_roll"]);
    assert!(began.elapsed() >= Duration::from_millis(300), "it was waited for");
    assert_eq!(client.call("dice_roll").await["by"], "dice");
    assert_eq!(
        fakes.script("slow").connects.load(Ordering::SeqCst),
        met + 1,
        "one attempt, however many lists"
    );
    client.tools().await;
    assert_eq!(fakes.script("slow").connects.load(Ordering::SeqCst), met + 1);
}

#[tokio::test]
async fn a_change_is_fetched_and_told() {
    let fakes = Fakes::new(vec![
        Script::new("dice").tools(&["roll"]),
        Script::new("uuid").tools(&["make"]),
    ]);
    let hub = hub(&fakes, HubSettings::default());
    let (alice, bob) = (Client::all(&hub, "alice").await, Client::all(&hub, "bob").await);
    let one = Client::one(&hub, "alice", "dice").await;
    let unconcerned = Client::one(&hub, "alice", "uuid").await;
    alice.tools().await;
    let mut streams =
        (alice.listen().await, one.listen().await, unconcerned.listen().await, bob.listen().await);
    fakes
        .script("dice")
        .set("tools/list", &[r#"{"name":"throw","inputSchema":{"type":"object"}}"#]);
    fakes.says("dice", "notifications/tools/list_changed", None);
    let told = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(streams.0.next().await.unwrap(), told);
    assert_eq!(streams.1.next().await.unwrap(), told);
    assert!(streams.2.is_silent().await, "looks at another server");
    assert!(streams.3.is_silent().await, "has a child of their own, or none");
    assert_eq!(alice.tools().await, ["dice_throw", "uuid_make"]);
    assert_eq!(
        fakes.script("uuid").heard("tools/list").len(),
        1,
        "only what changed is fetched anew"
    );
}

#[tokio::test]
async fn a_list_that_comes_late_is_told() {
    let fakes =
        Fakes::new(vec![Script::new("late").tools(&["x"]), Script::new("dice").tools(&["roll"])]);
    fakes.script("late").down.store(true, Ordering::SeqCst);
    let hub = hub(&fakes, HubSettings::default());
    let (first, second) = (Client::all(&hub, "alice").await, Client::all(&hub, "alice").await);
    assert_eq!(first.tools().await, ["dice_roll"]);
    let mut stream = first.listen().await;
    fakes.script("late").down.store(false, Ordering::SeqCst);
    eventually("the list of the late one", async || second.tools().await.len() == 2).await;
    assert!(stream.next().await.unwrap().contains("notifications/tools/list_changed"));
}

#[tokio::test]
async fn an_old_list_is_answered_and_fetched_behind_the_answer() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let settings = HubSettings { catalogue_ttl: Duration::ZERO, ..HubSettings::default() };
    let client = Client::all(&hub(&fakes, settings), "alice").await;
    client.tools().await;
    fakes
        .script("dice")
        .set("tools/list", &[r#"{"name":"throw","inputSchema":{"type":"object"}}"#]);
    let mut stream = client.listen().await;
    assert_eq!(client.tools().await, ["dice_roll"]);
    assert!(stream.next().await.unwrap().contains("notifications/tools/list_changed"));
    assert_eq!(client.tools().await, ["dice_throw"]);
}

#[tokio::test]
async fn what_a_server_lists_is_bounded_and_what_is_broken_left_out() {
    let fakes = Fakes::new(vec![Script::new("dice").with(
        "tools/list",
        &[
            r#"{"title":"no name"}"#,
            r#"{"name":"a","name":"b","inputSchema":{"type":"object"}}"#,
            r#"{"name":"x","inputSchema":{"type":"object"}}"#,
            r#"{"name":"x","again":1,"inputSchema":{"type":"object"}}"#,
            r#"{"name":"y","inputSchema":{"type":"object"}}"#,
            r#"{"name":"z","inputSchema":{"type":"object"}}"#,
            r#"{"name":"past","inputSchema":{"type":"object"}}"#,
        ],
    )]);
    let settings = HubSettings { max_items_per_list: 3, ..HubSettings::default() };
    let client = Client::all(&hub(&fakes, settings), "alice").await;
    assert_eq!(client.tools().await, ["dice_x", "dice_y", "dice_z"]);
}

/// Strict clients refuse a whole list for one tool that is none.
#[tokio::test]
async fn fb38_a_tool_that_no_client_accepts_costs_nobody_the_merged_list() {
    let odd = [
        r#"{"name":"without"}"#,
        r#"{"name":"empty","inputSchema":{}}"#,
        r#"{"name":"null","inputSchema":null}"#,
        r#"{"name":"text","inputSchema":"object"}"#,
        r#"{"name":"array","inputSchema":{"type":"array"}}"#,
        r#"{"name":"output","inputSchema":{"type":"object"},"outputSchema":null}"#,
    ];
    let sound =
        r#"{"name":"sound","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}"#;
    let fakes =
        Fakes::new(vec![Script::new("dice").with("tools/list", &[&odd[..], &[sound]].concat())]);
    let hub = hub(&fakes, HubSettings::default());
    assert_eq!(Client::all(&hub, "alice").await.tools().await, ["dice_sound"]);
    let one = Client::one(&hub, "alice", "dice").await.tools().await;
    assert_eq!(
        one,
        ["without", "empty", "null", "text", "array", "output", "sound"],
        "of one server it is as it is"
    );
}

#[tokio::test]
async fn tools_for_the_page_and_for_get_tools() {
    let fakes = Fakes::new(vec![
        Script::new("dice").tools(&["roll"]),
        Script::new("uuid").tools(&["make"]),
    ]);
    let hub = hub(&fakes, HubSettings::default());
    let show = async |view| {
        let tools = hub.tools(caller("alice", view)).await;
        tools
            .into_iter()
            .map(|t| format!("{} {} {}", t.server, t.name, String::from_utf8_lossy(&t.tool)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(show(View::All).await, @r#"
    dice dice_roll {"name":"dice_roll","inputSchema":{"type":"object"}}
    uuid uuid_make {"name":"uuid_make","inputSchema":{"type":"object"}}
    "#);
    assert_snapshot!(show(View::One(name("uuid"))).await, @r#"uuid make {"name":"make","inputSchema":{"type":"object"}}"#);
    let _: &Arc<_> = &hub;
}
