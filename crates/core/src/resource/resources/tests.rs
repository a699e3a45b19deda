//! Which resource guards a path, which one a `resource` parameter names, and what scopes it has.

use super::*;

fn resources() -> Resources {
    let servers = ["dice", "uuid"].map(|name| ServerName::parse(name).unwrap());
    Resources::new(
        PublicUrl::parse("https://gw.example").unwrap(),
        &servers,
        &["/mcp/legacy/".to_owned(), "/api/".to_owned()],
    )
}

#[test]
fn a_path_is_guarded_by_one_resource() {
    let cases = [
        ("/mcp", Some("https://gw.example/mcp")),
        ("/mcp/", Some("https://gw.example/mcp")),
        ("/mcp/dice", Some("https://gw.example/mcp/dice")),
        ("/mcp/dice/", Some("https://gw.example/mcp/dice")),
        ("/mcp/dice/more", None),
        ("/mcp/nobody", None),
        ("/mcp/legacy", Some("https://gw.example/mcp/legacy")),
        ("/mcp/legacy/mcp", Some("https://gw.example/mcp/legacy")),
        ("/mcp/legacyx", None),
        ("/api/v1/x", Some("https://gw.example/api")),
        ("/", None),
    ];
    let resources = resources();
    for (path, expected) in cases {
        let found =
            resources.guarding(PlainPath::parse(path).unwrap()).map(|(resource, _)| resource);
        assert_eq!(found.as_ref().map(Resource::as_str), expected, "{path}");
    }
}

#[test]
fn resource_parameters() {
    let cases = [
        ("https://gw.example/mcp", Some("https://gw.example/mcp")),
        ("https://GW.example:443/mcp/", Some("https://gw.example/mcp")),
        ("https://gw.example", Some("https://gw.example/mcp")),
        ("https://gw.example/mcp?server_name=dice", Some("https://gw.example/mcp")),
        ("https://gw.example/mcp/dice", Some("https://gw.example/mcp/dice")),
        ("https://gw.example/mcp/legacy/mcp", Some("https://gw.example/mcp/legacy")),
        ("https://gw.example/mcp?x=1", None),
        ("https://gw.example/mcp/dice?server_name=uuid", None),
        ("https://gw.example/mcp#f", None),
        ("https://gw.example/mcp#", None),
        ("http://gw.example/mcp", None),
        ("https://gw.example.evil/mcp", None),
        ("https://gw.example@evil/mcp", None),
        ("https://u@gw.example/mcp", None),
        ("https://gw.example/mcp/nobody", None),
        ("mcp", None),
        ("https://gw.example/", Some("https://gw.example/mcp")),
        ("https://gw.example/mcp/legacy/a%20b", Some("https://gw.example/mcp/legacy")),
        // What is written otherwise than it is read (threat 60).
        ("https://gw.example/mcp/%64ice", None),
        ("https://gw.example/%6Dcp", None),
        ("https://gw.example/mcp/legacy/%61", None),
        ("https://gw.example/mcp/legacy/../dice", None),
        ("https://gw.example/mcp/./dice", None),
        ("https://gw.example/mcp/legacy/%2e%2e/dice", None),
        ("https://gw.example/x/..", None),
        ("https://gw.example//mcp", None),
        ("https://gw.example/mcp//dice", None),
        ("https://gw.example\\mcp\\dice", None),
        ("https://gw.example/mcp\\dice", None),
        ("https:/gw.example/mcp", None),
        ("https:gw.example/mcp", None),
        ("https:///gw.example/mcp", None),
        ("https://@gw.example/mcp", None),
        ("https://:@gw.example/mcp", None),
        (" https://gw.example/mcp", None),
        ("https://gw.example/mc\tp", None),
        ("https://gw.example/mcp\n", None),
        ("https://gw.example/mcp;x", None),
    ];
    let resources = resources();
    for (requested, expected) in cases {
        assert_eq!(
            resources.parse(requested).ok().as_ref().map(Resource::as_str),
            expected,
            "{requested}"
        );
    }
}

#[test]
fn fb07_every_address_of_a_resource_stands_for_it_and_is_named_as_it_was_written() {
    let resources = resources();
    let cases = [
        ("/mcp", None, Some("/mcp")),
        ("/mcp/", None, Some("/mcp/")),
        ("/mcp", Some("server_name=dice"), Some("/mcp?server_name=dice")),
        ("/mcp/", Some("server_name=dice"), Some("/mcp/?server_name=dice")),
        ("/mcp", Some("server_name=nobody"), Some("/mcp")),
        ("/mcp", Some("server_name=dice&x=1"), Some("/mcp")),
        ("/mcp", Some("x=1"), Some("/mcp")),
        ("/mcp/dice/", None, Some("/mcp/dice/")),
        ("/mcp/dice", Some("server_name=uuid"), Some("/mcp/dice")),
        ("/api/v1/x", Some("q=1"), Some("/api")),
        ("/api", None, Some("/api")),
        ("/elsewhere", None, None),
    ];
    for (path, query, expected) in cases {
        let path = PlainPath::parse(path).unwrap();
        let found = resources.address(path, query);
        assert_eq!(
            found.as_ref().map(ResourceAddress::path_and_query),
            expected,
            "{path:?} {query:?}"
        );
        let Some(found) = found else { continue };
        let (resource, _) = resources.guarding(path).unwrap();
        assert_eq!(
            resources.parse(&resources.public_url().at(found.path_and_query())),
            Ok(resource),
            "{found:?}"
        );
    }
    assert_eq!(resources.address_of(&resources.root()).path_and_query(), "/mcp");
}

#[test]
fn scopes_of_a_resource() {
    let resources = resources();
    assert_eq!(resources.scopes(&resources.root()).to_string(), "dice mcp offline_access uuid");
    let dice = resources.of_server(&ServerName::parse("dice").unwrap());
    assert_eq!(resources.scopes(&dice).to_string(), "dice mcp offline_access");
}
