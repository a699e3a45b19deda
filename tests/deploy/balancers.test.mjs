// nginx and HAProxy, as deploy/ sets them up, in front of gateways: requests and streams get through as they should, and whose they are is
// told. Run by `./test deploy`. The gateways here are plain servers (gateways.mjs); that the files fit the real one is tested in test_files.py.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { freePort, scratch } from '../interop/processes.mjs';
import { CA, front } from './fronts.mjs';
import { gateway } from './gateways.mjs';

const HOST = 'mcp.example.com';
// An address of loopback that is not the balancer's own.
const CLIENT = '127.0.0.77';
const folder = scratch('deploy-balancers');

for (const kind of ['nginx', 'haproxy']) {
  describe(kind, { timeout: 30_000 }, () => {
    let gateways, balancer;

    before(async () => {
      gateways = [await gateway('one'), await gateway('two')];
      // The third is down all the time.
      balancer = await front(kind, path.join(folder, kind), [...gateways.map((one) => one.port), await freePort()]);
    });

    after(async () => {
      for (const one of gateways ?? []) one.stop();
      await balancer?.stop();
    });

    const tls = () => ({ host: '127.0.0.1', port: balancer.tls, ca: CA, servername: HOST, checkServerIdentity: () => undefined });

    function request(url, { method = 'GET', headers = {}, body } = {}) {
      const sent = https.request({ ...tls(), path: url, method, localAddress: CLIENT, agent: false, headers: { host: HOST, ...headers } });
      sent.end(body);
      return once(sent, 'response').then(([response]) => response);
    }

    async function read(response) {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      return text;
    }

    const ask = async (...args) => JSON.parse(await read(await request(...args)));

    test('both gateways are asked, and one that is down is in nobody\'s way', async () => {
      const names = [];
      for (let n = 0; n < 12; n += 1) {
        const response = await request('/mcp', { method: 'POST', body: '{}' });
        assert.equal(response.statusCode, 200);
        names.push(JSON.parse(await read(response)).name);
      }
      assert.deepEqual([...new Set(names)].sort(), ['one', 'two']);
    });

    test('the gateway is told whose request it is, and believes nobody else', async () => {
      const made = { 'x-forwarded-for': '10.9.9.9', 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'evil.example', forwarded: 'for=10.9.9.9' };
      const { headers } = await ask('/mcp', { headers: made });
      assert.equal(headers['x-forwarded-for'], CLIENT);
      assert.equal(headers['x-forwarded-proto'], 'https');
      assert.equal(headers['x-forwarded-host'], HOST);
      assert.equal(headers.forwarded, undefined);
      assert.equal(headers.host, HOST);
    });

    test('the same over HTTP/2', async () => {
      const session = http2.connect(`https://${HOST}`, { ...tls(), createConnection: undefined });
      const stream = session.request({ ':path': '/mcp' });
      const { headers } = JSON.parse(await read(stream));
      session.close();
      assert.equal(headers['x-forwarded-host'], HOST);
      assert.equal(headers.host, HOST);
    });

    test('an event arrives before the next one is sent', async () => {
      const response = await request('/stream');
      const events = response.setEncoding('utf8')[Symbol.asyncIterator]();
      const first = (await events.next()).value;
      assert.match(first, /^data: first of (one|two)\n\n$/);
      const sender = gateways.find((one) => first.includes(one.name)).seen.streams.pop();
      sender.end('data: second\n\n');
      assert.equal((await events.next()).value, 'data: second\n\n');
    });

    test('a POST that was sent is not sent again', async () => {
      const posts = () => gateways.reduce((sum, one) => sum + one.seen.posts, 0);
      for (let n = 1; n <= 4; n += 1) {
        const response = await request('/breaks', { method: 'POST', body: '{"once": true}' });
        assert.equal(response.statusCode, 502);
        await read(response);
        assert.equal(posts(), n);
      }
    });

    test('plain HTTP leads to HTTPS', async () => {
      const sent = http.get({ host: '127.0.0.1', port: balancer.plain, path: '/mcp?a=1', headers: { host: HOST } });
      const [response] = await once(sent, 'response');
      response.resume();
      assert.equal(response.statusCode, 308);
      assert.equal(response.headers.location, `https://${HOST}/mcp?a=1`);
    });

    // Last: one of the gateways does not come back.
    test('a gateway that stops gets nobody new, and its streams go on', async () => {
      let response, first = '';
      for (let attempt = 0; !first.includes('of one'); attempt += 1) {
        assert.ok(attempt < 100, 'the balancer never asks the first gateway');
        response?.destroy();
        response = await request('/stream');
        [first] = await once(response.setEncoding('utf8'), 'data');
      }
      gateways[0].seen.ready = false;
      // nginx does not look there: it finds out when the door is closed.
      if (kind === 'nginx') await gateways[0].closeDoor();
      for (let inRow = 0, attempt = 0; inRow < 10; attempt += 1) {
        assert.ok(attempt < 1000, 'the balancer still asks the gateway that stops');
        const answer = await ask('/mcp', { method: 'POST', body: '{}' });
        inRow = answer.name === 'two' ? inRow + 1 : 0;
      }
      await gateways[0].closeDoor();
      for (let n = 0; n < 10; n += 1) assert.equal((await ask('/mcp', { method: 'POST', body: '{}' })).name, 'two');
      gateways[0].seen.streams.at(-1).end('data: to the end\n\n');
      assert.equal(await read(response), 'data: to the end\n\n');
    });
  });
}
