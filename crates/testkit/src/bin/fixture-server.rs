//! A fixture MCP server as a program: `fixture-server --stdio` or `fixture-server --http PORT`.
//! What it offers is in `portunus_testkit::mcp_servers`.

use portunus_testkit::mcp_servers::{Fixture, FixtureServer, HttpOptions};
use rmcp::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| {
        arguments.iter().position(|a| a == flag).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let name = value("--name").unwrap_or_else(|| "fixture".to_owned());
    let page_size = value("--page-size").map(|n| n.parse()).transpose()?.unwrap_or(0);
    if let Some(port) = value("--http") {
        let server = FixtureServer::start_with(HttpOptions {
            name,
            page_size,
            port: port.parse()?,
            ..HttpOptions::default()
        })
        .await;
        println!("{}", server.url());
        tokio::signal::ctrl_c().await?;
    } else {
        let running = Fixture::new(name, page_size).serve(rmcp::transport::stdio()).await?;
        running.waiting().await?;
    }
    Ok(())
}
