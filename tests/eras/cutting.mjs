// A way to the gateway that breaks: every streamed answer to a call loses its connection after the first message. The rest has to be
// fetched by coming back with `Last-Event-ID`; an answer in one piece gets through whole.
import http from 'node:http';

/** Starts it on loopback. `cuts` counts the connections that broke, `returns` holds the ids of events that clients came back with. */
export async function startCutting(origin) {
  const to = new URL(origin);
  const seen = { cuts: 0, returns: [] };
  const server = http.createServer((request, response) => {
    const headers = { ...request.headers, host: to.host };
    if (headers['last-event-id']) seen.returns.push(headers['last-event-id']);
    const onwards = http.request({ host: to.hostname, port: to.port, method: request.method, path: request.url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      const streamed = answer.headers['content-type']?.startsWith('text/event-stream');
      if (request.method !== 'POST' || !streamed) {
        answer.pipe(response);
        return;
      }
      let got = '';
      answer.on('data', (piece) => {
        if (response.destroyed) return;
        got += piece;
        // The event that only tells how to come back is no message.
        const end = got.search(/data: .+\n\n/);
        if (end < 0) return;
        const first = got.slice(0, got.indexOf('\n\n', end) + 2);
        seen.cuts += 1;
        response.write(first, () => response.destroy());
      });
      answer.on('end', () => response.end());
    });
    onwards.on('error', () => response.destroy());
    response.on('close', () => onwards.destroy());
    request.pipe(onwards);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    origin: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
