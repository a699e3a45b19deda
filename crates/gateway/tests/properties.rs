//! The checks of the fuzz targets (`fuzz/checks.rs`), run over generated inputs: seeds that are
//! nearly right, with random changes. Fuzzing itself, which learns from coverage, is `cargo fuzz
//! run TARGET`.

#[path = "../../../fuzz/checks.rs"]
mod checks;

use proptest::{collection::vec, prelude::*, sample::select};

/// A seed with up to eight bytes replaced, inserted or cut; or just bytes.
fn near(seeds: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..8);
    let edited = (select(seeds), edits).prop_map(|(seed, edits)| {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    });
    prop_oneof![4 => edited, 1 => vec(any::<u8>(), 0..256)]
}

const URIS: &[&str] = &[
    "http://127.0.0.1:1/cb\nhttp://127.0.0.1:2/cb",
    "http://localhost/cb\nhttp://localhost:80@evil/cb",
    "http://[::1]:1/cb?x\nhttp://[::1]:65535/cb?x",
    "https://app.example/cb\nhttps://app.example/cb",
    "com.example.app:/cb\ncom.example.app:/cb",
];
const FORMS: &[&str] = &[
    "client_id=a&state=b&redirect_uri=c",
    "code=a+b%20c&scope=%E2%82%AC",
    "a=%&b=%f&client%5Fid=x",
];
const METADATA: &[&str] = &[
    r#"{"redirect_uris":["https://app.example/cb"],"client_uri":"https://app.example","grant_types":["authorization_code"]}"#,
    r#"{"redirect_uris":["http://127.0.0.1/cb"],"logo_uri":"https://a/","token_endpoint_auth_method":"none","scope":"mcp"}"#,
];
const REQUESTS: &[&str] = &[
    "response_type=code&client_id=c&redirect_uri=https://app.example/cb&state=s&scope=mcp&resource=https://gw.example/mcp/dice\
     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
    "response_type=token&redirect_uri=com.example.app:/cb?x=1&state=%0d%0aSet-Cookie:x",
];
const TOKENS: &[&str] = &[
    "client_id=c&client_secret=x&grant_type=refresh_token",
    "client_id=c&grant_type=authorization_code&code=x",
];
const HEADERS: &[&str] =
    &["Basic eDp5", "Bearer ptn_at_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAabcdef", "Bearer "];
const JWTS: &[&str] = &[
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIn0.\n{\"keys\":[]}",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.e30.AAAA\n{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"k\"}]}",
];
const YAML: &[&str] = &[
    "public_url: http://localhost:3000\nproxies:\n  - pattern: \"/a/\"\n    target_url: \"http://localhost:1\"\n",
    "auth_secret: ${AUTH_SECRETX:-x}\nlifetimes: {access_token: 60m}\nlog: {level: info}\n",
];
const MCP_JSON: &[&str] = &[
    r#"{"mcpServers": {"a": {"command": "x", "args": ["-y"], "env": {"K": "${V}"},}, /* c */ "b": {"url": "http://localhost:1/mcp"}}}"#,
];
const MESSAGES: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1.0e5,"s":"\u00e9"}}}"#,
    r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.50}}"#,
    r#"{"result":{"content":[{"type":"text","text":"\u00e9"}]},"id":1.0e2,"jsonrpc":"2.0"}"#,
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x","data":[1,null]}}"#,
    r#"{"jsonrpc":"2.0","id":"b","error":"of any shape"}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
];

const DOCUMENTS: &[&str] = &[
    "https://app.example/c.json\n{\"client_id\":\"https://app.example/c.json\",\"client_name\":\"x\",\"redirect_uris\":[\"http://127.0.0.1/cb\"]}",
    "https://app.example/@c?x=a@b\n{\"client_id\":\"https://app.example/@c?x=a@b\",\"client_name\":\"x\",\"redirect_uris\":[\"https://app.example/\"]}",
    "https://app.example/a/../c\n{\"client_id\":\"https://app.example/c\",\"client_name\":\"x\",\"redirect_uris\":[\"https://app.example/\"]}",
];
const BODIES: &[&str] = &[
    r#"{"client_id":"ptn_client_x","redirect_uris":["https://app.example/cb"],"client_secret":"x"}"#,
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4Iiwic3ViIjoieCJ9.AAAA",
];

type Check = fn(&[u8]);

/// What the fuzzer found worth keeping, one folder for each target.
#[test]
fn seeds_of_the_fuzzer() {
    let targets: [(&str, Check); 12] = [
        ("redirect_uri", checks::redirect_uri),
        ("form", checks::form),
        ("client_metadata", checks::client_metadata),
        ("metadata_document", checks::metadata_document),
        ("json_bodies", checks::json_bodies),
        ("authorization_request", checks::authorization_request),
        ("token_request", checks::token_request),
        ("authorization_header", checks::authorization_header),
        ("jwt", checks::jwt),
        ("config_yaml", checks::config_yaml),
        ("mcp_json", checks::mcp_json),
        ("wire", checks::wire),
    ];
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    assert_eq!(
        std::fs::read_dir(&seeds).unwrap().count(),
        targets.len(),
        "each target has its folder"
    );
    for (name, check) in targets {
        let files = std::fs::read_dir(seeds.join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>();
        assert!(files.len() > 20, "{name}");
        for file in files {
            check(&std::fs::read(file).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redirect_uris(data in near(URIS)) { checks::redirect_uri(&data); }

    #[test]
    fn forms(data in near(FORMS)) { checks::form(&data); }

    #[test]
    fn client_metadata(data in near(METADATA)) { checks::client_metadata(&data); }

    #[test]
    fn metadata_documents(data in near(DOCUMENTS)) { checks::metadata_document(&data); }

    #[test]
    fn json_bodies(data in near(BODIES)) { checks::json_bodies(&data); }

    #[test]
    fn authorization_requests(data in near(REQUESTS)) { checks::authorization_request(&data); }

    #[test]
    fn token_requests(data in near(TOKENS)) { checks::token_request(&data); }

    #[test]
    fn authorization_headers(data in near(HEADERS)) { checks::authorization_header(&data); }

    #[test]
    fn jwts(data in near(JWTS)) { checks::jwt(&data); }

    #[test]
    fn config_yaml(data in near(YAML)) { checks::config_yaml(&data); }

    #[test]
    fn mcp_json(data in near(MCP_JSON)) { checks::mcp_json(&data); }

    #[test]
    fn wire(data in near(MESSAGES)) { checks::wire(&data); }
}
