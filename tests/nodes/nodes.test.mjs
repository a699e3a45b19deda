// Three nodes behind round robin: official clients of both eras go through their exercises at servers of both eras while a node is killed
// and started again before each of them; sessions outlive the node they were on; a node that stops, and a Redis that restarts, cost no
// client anything that was acknowledged. Run by `./test nodes`; what is exercised is in ../eras.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { CLIENTS } from '../eras/clients/clients.mjs';
import { answer, EXERCISES, said } from '../eras/exercises.mjs';
import { FIXTURES } from '../eras/fixtures.mjs';
import { Setup } from '../eras/setup.mjs';
import { Tokens } from '../eras/token.mjs';
import { startCluster } from './cluster.mjs';
import { row } from './summary.mjs';

class Nodes extends Setup {
  startGateway(folder, options) {
    return startCluster(folder, options);
  }
}

const setup = new Nodes('nodes');
const PATIENCE = { timeout: 120_000 };
let turn = 0;
const count = { begun: 0, done: 0 };

before(() => setup.start(), { timeout: 180_000 });
after(() => setup.stop());

const named = (name) => CLIENTS.find((client) => client.name === name);
const connect = async (client, at, person = 'alice') => client.connect(await setup.throughGateway(at, person), { answer, log: setup.log });

/** One node after the other dies and comes back. */
async function harm() {
  const node = setup.gateway.nodes[turn % setup.gateway.nodes.length];
  turn += 1;
  await node.kill();
  await node.launch();
}

/** The node that has the user's session, by what it logs: it says so when a session begins or goes on. */
function homes() {
  return setup.gateway.nodes.filter((node) => /a session (begins|goes on here)/.test(fs.readFileSync(node.log, 'utf8')));
}

describe('exercises, a node being killed before each', () => {
  const MEETINGS = {
    'TypeScript 1.x': ['legacy-stdio', 'modern-http'],
    'TypeScript 2.x, modern, pinned': ['legacy-stdio', 'modern-stdio'],
    'Python, legacy': ['legacy-http'],
  };
  for (const [name, servers] of Object.entries(MEETINGS)) {
    for (const fixture of FIXTURES.filter((one) => servers.includes(one.name))) {
      test(`${name} at ${fixture.name}`, { timeout: 300_000 }, async (context) => {
        const client = named(name);
        for (const [exercise, perform] of Object.entries(EXERCISES)) {
          await context.test(exercise, PATIENCE, async () => {
            count.begun += 1;
            await harm();
            const connected = await connect(client, `/mcp/${fixture.name}`);
            try {
              await perform({ client: connected, prefix: '', thing: fixture.thing, clientEra: client.era, serverEra: fixture.era });
            } finally {
              connected.close().catch(() => {});
            }
            count.done += 1;
          });
        }
      });
    }
  }
});

describe('what outlives a node', () => {
  test('a session, wherever it was', PATIENCE, async () => {
    const connected = await connect(named('TypeScript 1.x'), '/mcp/legacy-stdio', 'bob');
    assert.equal(said(await connected.call('echo', { message: 'before' })), 'before');
    for (const node of setup.gateway.nodes) {
      await node.kill();
      // The home is given up once it is missed; until then the request waits.
      assert.equal(said(await connected.call('echo', { message: `without ${node.n}` })), `without ${node.n}`);
      await node.launch();
    }
    assert.ok(homes().length > 1, 'the session moved');
    await connected.close();
  });

  test('a call under way, when the node is asked to stop', PATIENCE, async () => {
    const connected = await connect(named('TypeScript 2.x, legacy'), '/mcp/legacy-http', 'bob');
    for (const node of setup.gateway.nodes) {
      const call = connected.call('slow', { steps: 10, milliseconds: 100 });
      await new Promise((resolve) => setTimeout(resolve, 200));
      const stopped = node.stop();
      assert.equal(said(await call), '10 steps done');
      assert.equal((await stopped).code, 0);
      await node.launch();
    }
    await connected.close();
  });

  for (const [what, harm, mend] of [
    ['dies', (home) => home.kill(), (home) => home.launch()],
    ['hangs', (home) => home.freeze(), (home) => home.thaw()],
  ]) {
    test(`not a call under way, when its home ${what}; but its client is told`, PATIENCE, async () => {
      const { url, token } = await setup.throughGateway('/mcp/legacy-http', 'alice');
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const send = (at, extra, message) => request(at, { ...headers, ...extra, host: new URL(setup.base).host }, JSON.stringify({ jsonrpc: '2.0', ...message }));
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'nodes', version: '1' } };
      const begun = await send(url, {}, { id: 1, method: 'initialize', params });
      const session = { 'mcp-session-id': begun.headers['mcp-session-id'], 'mcp-protocol-version': '2025-11-25' };
      await whole(begun);
      const home = setup.gateway.nodes.find((node) => fs.readFileSync(node.log, 'utf8').includes(`"${session['mcp-session-id'].slice(0, 6)}…"`));
      const other = setup.gateway.nodes.find((node) => node !== home);
      // Who wants to hear of progress has a stream from then on.
      const slow = { name: 'slow', arguments: { steps: 600, milliseconds: 100 }, _meta: { progressToken: 'steps' } };
      const call = await send(`${other.url}/mcp/legacy-http`, session, { id: 'the call', method: 'tools/call', params: slow });
      assert.equal(call.statusCode, 200);
      await harm(home);
      try {
        const last = (await whole(call)).trim().split('\n').at(-1);
        const { id, error } = JSON.parse(last.slice('data: '.length));
        assert.deepEqual([id, error.data], ['the call', { retriable: true }]);
      } finally {
        await mend(home);
      }
    });
  }

  test('tokens and grants, when Redis restarts', PATIENCE, async () => {
    const tokens = new Tokens(setup.base, 'alice');
    const resource = `${setup.base}/mcp/modern-http`;
    const token = await tokens.for(resource);
    await setup.gateway.redis.restart();
    await setup.gateway.ready();
    const connected = await named('TypeScript 2.x, modern, pinned').connect({ url: resource, token }, { answer, log: setup.log });
    assert.equal(said(await connected.call('echo', { message: 'still here' })), 'still here');
    await connected.close();
    assert.ok(await new Tokens(setup.base, 'bob').for(resource), 'people sign in as before');
  });
});

test('a token revoked at one node is refused by all of them, a moment later', PATIENCE, async () => {
  const resource = `${setup.base}/mcp/legacy-http`;
  const tokens = new Tokens(setup.base, 'alice');
  const token = await tokens.for(resource);
  const ping = (node) => node.post('/mcp/legacy-http', { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
  // Without a session; but not for want of a token.
  for (const node of setup.gateway.nodes) assert.equal(await ping(node), 400);
  const form = new URLSearchParams({ token, client_id: tokens.held.get(resource).client }).toString();
  assert.equal(await setup.gateway.nodes[0].post('/auth/revoke', { 'content-type': 'application/x-www-form-urlencoded' }, form), 200);
  assert.equal(await ping(setup.gateway.nodes[0]), 401, 'at once where it was revoked');
  for (const node of setup.gateway.nodes) {
    for (let attempt = 0; (await ping(node)) !== 401; attempt += 1) {
      assert.ok(attempt < 100, `node ${node.n} still takes it`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
});

function request(url, headers, body) {
  return new Promise((resolve, reject) => {
    http.request(url, { method: 'POST', headers }, resolve).on('error', reject).end(body);
  });
}

async function whole(response) {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

test('nodes, nginx and the provider came to no harm', () => {
  row('clients of both eras', { exercises: count.begun, kills: turn, repeated: 0, cap: 0, violations: count.begun - count.done });
  setup.assertUnharmed();
});
