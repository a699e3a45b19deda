// The runner cannot send an access token. This proxy on loopback stands between it and the gateway and adds one: the token for the
// server that the path names, or for all of them. Everything else passes as it came, byte by byte and as soon as it comes, in both directions.
import http from 'node:http';

/**
 * Forwards `/mcp/{server}`, and `/mcp`, to the gateway at `baseUrl`. `tokens` has an access token for each server; that of `/mcp` is under ''.
 * `before` is asked before anything of a request is sent on; what it answers with is called when the request is over.
 */
export async function startTokenProxy(baseUrl, tokens, before = async () => () => {}) {
  const gateway = new URL(baseUrl);
  const proxy = http.createServer(async (request, response) => {
    const over = await before(request);
    const server = /^\/mcp\/([^/?]+)/.exec(request.url)?.[1] ?? '';
    const own = request.headers.host === `127.0.0.1:${proxy.address().port}`;
    const upstream = http.request(
      {
        host: '127.0.0.1',
        port: gateway.port,
        method: request.method,
        path: request.url,
        headers: forwarded(request, own && gateway, tokens.get(server)),
        agent: false,
      },
      (answer) => {
        response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
        response.flushHeaders();
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    upstream.on('error', () => response.destroy());
    // A client that goes away takes its request with it, as it does without a proxy.
    response.on('close', () => {
      upstream.destroy();
      over();
    });
    request.pipe(upstream);
  });
  await new Promise((resolve, reject) => proxy.listen(0, '127.0.0.1', resolve).once('error', reject));
  return {
    urlOf: (server) => `http://127.0.0.1:${proxy.address().port}/mcp${server && `/${server}`}`,
    stop: () => new Promise((resolve) => proxy.close(resolve).closeAllConnections()),
  };
}

/**
 * The request's headers, spelled as they came, with the token. The proxy's own name becomes the gateway's; any other `Host` or `Origin`
 * must reach the gateway, whose part it is to refuse it.
 */
function forwarded(request, gateway, token) {
  const headers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at];
    let value = request.rawHeaders[at + 1];
    const lower = name.toLowerCase();
    if (lower === 'authorization') continue;
    if (gateway && lower === 'host') value = gateway.host;
    if (gateway && lower === 'origin' && value === `http://${request.headers.host}`) value = gateway.origin;
    headers.push(name, value);
  }
  if (token) headers.push('Authorization', `Bearer ${token}`);
  return headers;
}
