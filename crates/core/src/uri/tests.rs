//! Cases for URIs, and what a browser makes of them.

use super::*;

#[test]
fn the_parts_are_those_that_are_written() {
    let web = |host, port, path, query| {
        let authority = Some(Authority { host, port });
        Ok(StrictUri { scheme: "https", authority, path, query })
    };
    let app =
        |authority, path| Ok(StrictUri { scheme: "com.example.app", authority, path, query: None });
    let host = |host| Some(Authority { host, port: None });
    let cases = [
        ("https://app.example", web("app.example", None, "", None)),
        ("https://app.example?x=1", web("app.example", None, "", Some("x=1"))),
        ("https://app.example:8443/a//b?", web("app.example", Some(8443), "/a//b", Some(""))),
        (
            "https://xn--bcher-kva.example/%C3%BC",
            web("xn--bcher-kva.example", None, "/%C3%BC", None),
        ),
        ("https://[2001:db8::1]:1/cb", web("[2001:db8::1]", Some(1), "/cb", None)),
        ("https://10.0.0.1/cb", web("10.0.0.1", None, "/cb", None)),
        ("https://my_host/a@b:c", web("my_host", None, "/a@b:c", None)),
        ("com.example.app:/cb", app(None, "/cb")),
        ("com.example.app://oauth/cb", app(host("oauth"), "/cb")),
        ("com.example.app:///cb", app(host(""), "/cb")),
        ("com.example.app://GitHub.Chat/Cb", app(host("GitHub.Chat"), "/Cb")),
    ];
    for (text, expected) in cases {
        assert_eq!(StrictUri::parse(text), expected, "{text}");
    }
}

#[test]
fn t66_what_a_browser_would_read_otherwise_is_refused() {
    use BadUri::{
        Characters, DotSegment, Fragment, Host, NoAuthority, NotAUri, Port, SchemeCase, Userinfo,
    };
    let cases = [
        ("", NotAUri),
        ("/cb", NotAUri),
        ("//app.example/cb", NotAUri),
        ("1https://app.example/", NotAUri),
        ("https", NotAUri),
        ("https:app.example", NoAuthority),
        ("https:/app.example", NoAuthority),
        ("https://", NoAuthority),
        ("https:///", NoAuthority),
        ("https:///app.example/cb", NoAuthority),
        ("https://?x", NoAuthority),
        ("http:localhost/cb", NoAuthority),
        ("http:/localhost/cb", NoAuthority),
        ("com.example.app:cb", NoAuthority),
        ("com.example.app:", NoAuthority),
        ("https://@", Userinfo),
        ("https://@app.example/cb", Userinfo),
        ("https://:@app.example/cb", Userinfo),
        ("https://u%40x:p@app.example/cb", Userinfo),
        ("http://localhost:1@evil.example/", Userinfo),
        ("com.example.app://u@host/cb", Userinfo),
        ("https:\\\\app.example\\cb", Characters),
        ("https://app.example\\@evil.example/", Characters),
        ("https://app.example/a b", Characters),
        ("https://app.example/a\tb", Characters),
        ("ht\ntps://app.example/", Characters),
        (" https://app.example/", Characters),
        ("https://app.example/\u{0}", Characters),
        ("https://b\u{fc}cher.example/cb", Characters),
        ("https://app.example/\u{202e}cb", Characters),
        ("https://app\u{3002}example/cb", Characters),
        ("https://app.example/%", Characters),
        ("https://app.example/%zz", Characters),
        ("https://app.example/%2", Characters),
        ("https://app.example/<script>", Characters),
        ("https://app.example/\"{}|^`", Characters),
        ("https://app.example/[x]", Characters),
        ("https://app.example/?x=[1]", Characters),
        ("https://app.example/cb#", Fragment),
        ("https://app.example/cb#f", Fragment),
        ("HTTPS://app.example/cb", SchemeCase),
        ("Http://localhost/cb", SchemeCase),
        ("Com.Example.App:/cb", SchemeCase),
        ("https://APP.example/cb", Host),
        ("https://app%2eexample/cb", Host),
        ("https://%61pp.example/cb", Host),
        ("https://app.example./cb", Host),
        ("https://.app.example/cb", Host),
        ("https://app..example/cb", Host),
        ("https://xn--/cb", Host),
        ("https://2130706433/cb", Host),
        ("https://0x7f.1/cb", Host),
        ("https://127.1/cb", Host),
        ("https://0177.0.0.1/cb", Host),
        ("https://999.1.1.1/cb", Host),
        ("https://[::1/cb", Host),
        ("https://[::0001]/cb", Host),
        ("https://[::ffff:127.0.0.1]/cb", Host),
        ("https://[v1.x]/cb", Host),
        ("https://[::1]x/cb", Host),
        ("https://a,b.example/cb", Host),
        ("https://app.example:/cb", Port),
        ("https://app.example:0/cb", Port),
        ("https://app.example:0443/cb", Port),
        ("https://app.example:65536/cb", Port),
        ("https://app.example:99999999999999999999/cb", Port),
        ("https://app.example:+443/cb", Port),
        ("https://app.example:4x/cb", Port),
        ("http://localhost:1:2/cb", Port),
        ("https://:443/cb", Host),
        ("https://app.example/a/../cb", DotSegment),
        ("https://app.example/./cb", DotSegment),
        ("https://app.example/cb/..", DotSegment),
        ("https://app.example/a/%2e%2E/cb", DotSegment),
        ("https://app.example/a/.%2e/cb", DotSegment),
        ("com.example.app:/a/../cb", DotSegment),
    ];
    for (text, expected) in cases {
        assert_eq!(StrictUri::parse(text), Err(expected), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn t66_what_is_taken_is_read_alike_by_a_browser(text in "https?:/{0,3}[a-z0-9.@:%\\[\\]\\-_]{0,12}[/?#\\\\]?[a-z.%/2e]{0,8}") {
        if let Ok(uri) = StrictUri::parse(&text) {
            let read = Url::parse(&text).unwrap();
            assert_eq!((read.scheme(), read.host_str()), (uri.scheme, Some(uri.host())), "{text}");
            assert!(read.path() == uri.path || (uri.path.is_empty() && read.path() == "/"), "{text}");
            let port = uri.authority.and_then(|authority| authority.port);
            assert!(read.port() == port || (read.port().is_none() && port == read.port_or_known_default()), "{text}");
        }
    }
}
