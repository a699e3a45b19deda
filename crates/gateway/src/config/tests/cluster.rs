//! Several gateways on one store.

use super::{Given, okta};
use crate::cli::summary::summary;

fn with_redis(variables: &[(&str, &str)]) -> Given {
    okta().env(&[("KVS_ADDR", "localhost:6379")]).env(variables)
}

#[test]
fn where_other_nodes_reach_this_one() {
    let config = with_redis(&[]).load();
    assert_eq!((config.cluster.listen, config.cluster.url), (None, None), "found out at start");
    let config = with_redis(&[("CLUSTER_LISTEN", "10.0.0.5:7946")]).load();
    assert_eq!(config.cluster.listen, Some("10.0.0.5:7946".parse().unwrap()));
    let config = with_redis(&[])
        .yaml("cluster:\n  listen: 0.0.0.0:7946\n  url: http://gateway-1.internal:7946/\n")
        .load();
    assert_eq!(config.cluster.url.as_deref(), Some("http://gateway-1.internal:7946"));
    assert!(
        summary(&config)
            .contains("other nodes       on 0.0.0.0:7946, as http://gateway-1.internal:7946\n")
    );
    let config = with_redis(&[("CLUSTER_LISTEN", "10.0.0.5")]).load();
    assert_eq!(config.cluster.listen, Some("10.0.0.5:0".parse().unwrap()), "any port");
}

#[test]
fn mistakes() {
    okta()
        .env(&[("CLUSTER_LISTEN", "10.0.0.5:7946")])
        .one_mistake(&["CLUSTER_LISTEN", "while the store is SQLite"]);
    with_redis(&[("CLUSTER_LISTEN", "gateway-1:7946")])
        .one_mistake(&["CLUSTER_LISTEN", "an IP address and a port"]);
    with_redis(&[("CLUSTER_LISTEN", "0.0.0.0:7946")])
        .one_mistake(&["CLUSTER_LISTEN", "CLUSTER_URL"]);
    for url in ["10.0.0.5:7946", "http://10.0.0.5/path", "ftp://10.0.0.5", "http://u:p@10.0.0.5"] {
        with_redis(&[("CLUSTER_URL", url)]).one_mistake(&["CLUSTER_URL", "a URL without a path"]);
    }
}
