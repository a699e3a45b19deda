// Plain HTTP servers in the place of gateways: each tells its name and what it was sent, streams as slowly as the test wants, and can be made
// to stop or to break. What stands in front of them is in fronts.mjs; the tests are in balancers.test.mjs.
import http from 'node:http';

/** One gateway at a free port of loopback. */
export async function gateway(name) {
  const seen = { posts: 0, streams: [], ready: true };
  const server = http.createServer((request, response) => answer(name, seen, request, response));
  await new Promise((resolve, reject) => server.listen(0, '127.0.0.1', resolve).once('error', reject));
  return {
    name,
    port: server.address().port,
    seen,
    /** No new connection is let in; streams that stand go on. */
    closeDoor: () => new Promise((resolve) => {
      server.close();
      server.closeIdleConnections();
      setImmediate(resolve);
    }),
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(name, seen, request, response) {
  switch (request.url) {
    case '/ready':
      response.writeHead(seen.ready ? 200 : 503).end();
      return;
    case '/stream':
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: first of ${name}\n\n`);
      // The test says when the second comes.
      seen.streams.push(response);
      return;
    case '/breaks':
      // Read whole, and never answered.
      request.resume().on('end', () => {
        seen.posts += 1;
        request.socket.destroy();
      });
      return;
    default:
      request.resume().on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json', 'x-gateway': name });
        response.end(JSON.stringify({ name, headers: request.headers }));
      });
  }
}
