// The main job with real peers: clients that people use, a certified identity provider, and MCP servers on stdio and HTTP, around the
// gateway as its users configure it. Run by `./test interop`.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { connectClientTwo, connectMcpRemote, connectPython, connectSdkOne } from './clients.mjs';
import { exercise, textIn } from './exercise.mjs';
import { startProvider } from './provider.mjs';
import { Keychain } from './sign_in.mjs';
import { EVERYTHING, freePort, scratch, startEverything, startGateway } from './processes.mjs';

const folder = scratch('main');
const secrets = { auth: randomBytes(33).toString('base64') };
const keychains = [];
let provider;
let everything;
let oldEverything;
let gateway;
let base;
/** How the gateway is started, for the tests that start it again. */
let asConfigured;

/** A fresh application on a fresh browser. */
function keychain(name, person) {
  const made = new Keychain({ name, person });
  keychains.push(made);
  return made;
}

before(async () => {
  const [providerPort, gatewayPort] = [await freePort(), await freePort()];
  base = `http://localhost:${gatewayPort}`;
  provider = await startProvider({
    port: providerPort,
    redirectUris: [`${base}/auth/callback/testidp`, `${base}/auth/callback`],
    signedOutUris: [`${base}/auth/signout`, `${base}/auth/signin`, `${base}/`],
  });
  everything = await startEverything(folder);
  oldEverything = await startEverything(folder, { old: true });
  asConfigured = {
    port: gatewayPort,
    env: {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_SECRET: secrets.auth,
      LOG_LEVEL: 'debug',
    },
    mcp: {
      mcpServers: {
        everything: { command: process.execPath, args: [EVERYTHING, 'stdio'] },
        remote: { url: everything.url, type: 'http' },
        old: { url: oldEverything.url, type: 'sse' },
      },
    },
    config: `proxies:\n  - pattern: "/mcp/legacy/"\n    target_url: "${everything.root}"\n`,
  };
  gateway = await startGateway(folder, asConfigured);
}, { timeout: 120_000 });

after(async () => {
  await gateway?.stop();
  await everything?.stop();
  await oldEverything?.stop();
  await provider?.stop();
});

describe('discovery without a token', () => {
  for (const [where, resource] of [
    ['/mcp', '/mcp'],
    ['/mcp?server_name=everything', '/mcp?server_name=everything'],
    ['/mcp/everything', '/mcp/everything'],
    ['/mcp/remote', '/mcp/remote'],
    ['/mcp/legacy/mcp', '/mcp/legacy'],
  ]) {
    test(where, async () => {
      for (const method of ['GET', 'POST']) {
        const refused = await fetch(base + where, { method, ...(method === 'POST' && { body: '{}', headers: { 'content-type': 'application/json' } }) });
        assert.equal(refused.status, 401, `${method} ${where}`);
        const metadataUrl = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate'))?.[1];
        assert.ok(metadataUrl, refused.headers.get('www-authenticate'));
        const metadata = await (await fetch(metadataUrl)).json();
        // What clients compare with the URL that was typed: same origin, and a prefix of its path.
        assert.equal(metadata.resource.replace(/\/$/, ''), base + resource);
        assert.deepEqual(metadata.authorization_servers, [base]);
      }
    });
  }

  test('the well-known documents are found by path, with and without a query', async () => {
    for (const at of ['', '/mcp', '/mcp?server_name=everything', '/mcp/everything', '/mcp/legacy/mcp']) {
      const answer = await fetch(`${base}/.well-known/oauth-protected-resource${at}`);
      assert.equal(answer.status, 200, at);
      assert.match(answer.headers.get('content-type'), /^application\/json/);
    }
    for (const at of ['oauth-authorization-server', 'openid-configuration']) {
      const metadata = await (await fetch(`${base}/.well-known/${at}`)).json();
      assert.equal(metadata.issuer, base);
      assert.equal(metadata.authorization_response_iss_parameter_supported, true);
      for (const [member, value] of Object.entries(metadata)) assert.notEqual(value, null, `${member} must be left out, not null`);
    }
  });
});

const everywhere = [
  ['/mcp/everything', ['']],
  ['/mcp/remote', ['']],
  ['/mcp/old', ['']],
  ['/mcp', ['everything_', 'remote_', 'old_']],
  ['/mcp?server_name=everything', ['']],
  ['/mcp/legacy/mcp', ['']],
];

for (const [name, connect] of [
  ['SDK 1.x', connectSdkOne],
  ['client 2.x', connectClientTwo],
  ['client 2.x, probing for the modern era', (url, keys) => connectClientTwo(url, keys, 'auto')],
]) {
  describe(name, () => {
    for (const [where, prefixes] of everywhere) {
      test(where, { timeout: 60_000 }, async () => {
        const keys = keychain(`${name} at ${where}`);
        const client = await connect(base + where, keys);
        for (const prefix of prefixes) await exercise(client, prefix);
        assert.equal(keys.signIns, 1);
        await client.close();
      });
    }

    test('an access token that no longer works is refreshed, and nobody is asked', { timeout: 60_000 }, async () => {
      const keys = keychain(`${name}, refreshing`);
      const client = await connect(`${base}/mcp/everything`, keys);
      const before = keys.held;
      keys.spoilAccessToken();
      assert.equal(textIn(await client.call('echo', { message: 'again' })), 'Echo: again');
      assert.equal(keys.signIns, 1);
      assert.equal(keys.refreshes, 1);
      assert.notEqual(keys.held.access_token, before.access_token);
      assert.notEqual(keys.held.refresh_token, before.refresh_token, 'refresh tokens are rotated');
      await client.close();
    });
  });
}

describe('SDK 1.x, further', () => {
  test('a token for one server is refused on another', { timeout: 60_000 }, async () => {
    const keys = keychain('one server only');
    const client = await connectSdkOne(`${base}/mcp/everything`, keys);
    await client.close();
    for (const where of ['/mcp/remote', '/mcp', '/mcp/legacy/mcp']) {
      const refused = await fetch(base + where, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${keys.held.access_token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
      });
      assert.equal(refused.status, 401, where);
      const challenge = refused.headers.get('www-authenticate');
      assert.match(challenge, /error="invalid_token"/);
      assert.match(challenge, /resource_metadata="/);
    }
  });

  test('log messages of a server arrive between answers', { timeout: 60_000 }, async () => {
    const keys = keychain('listening');
    const client = await connectSdkOne(`${base}/mcp/everything`, keys);
    const logged = new Promise((resolve) => {
      client.client.fallbackNotificationHandler = async (notification) => {
        if (notification.method === 'notifications/message') resolve(notification.params);
      };
    });
    await client.client.setLoggingLevel('debug');
    await client.call('toggle-simulated-logging', {});
    assert.equal(typeof (await logged).level, 'string');
    await client.close();
  });

  test('a subscription brings word of changes', { timeout: 60_000 }, async () => {
    const keys = keychain('subscribing');
    const client = await connectSdkOne(`${base}/mcp/everything`, keys);
    const uri = 'demo://resource/static/document/features.md';
    const updated = new Promise((resolve) => {
      client.client.fallbackNotificationHandler = async (notification) => {
        if (notification.method === 'notifications/resources/updated') resolve(notification.params.uri);
      };
    });
    await client.client.subscribeResource({ uri });
    await client.call('toggle-subscriber-updates', {});
    assert.equal(await updated, uri);
    await client.close();
  });

  test('a call that is called off does not stand in the way of the next', { timeout: 60_000 }, async () => {
    const keys = keychain('impatient');
    const client = await connectSdkOne(`${base}/mcp/everything`, keys);
    const giveUp = new AbortController();
    const long = client.client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 30, steps: 60 } }, undefined, {
      signal: giveUp.signal,
      onprogress: () => giveUp.abort(),
    });
    await assert.rejects(long);
    assert.equal(textIn(await client.call('echo', { message: 'next' })), 'Echo: next');
    await client.close();
  });

  test('two people at once each get their own answers', { timeout: 60_000 }, async () => {
    const [alice, bob] = await Promise.all(
      ['alice', 'bob'].map((person) => connectSdkOne(`${base}/mcp`, keychain(`${person} at once`, person))),
    );
    const asked = Array.from({ length: 30 }, (_, turn) => [
      [alice, 'everything_echo', `alice ${turn}`],
      [bob, 'everything_echo', `bob ${turn}`],
      [bob, 'remote_echo', `bob remotely ${turn}`],
    ]).flat();
    await Promise.all(
      asked.map(async ([who, tool, message]) => assert.equal(textIn(await who.call(tool, { message })), `Echo: ${message}`)),
    );
    await alice.close();
    await bob.close();
  });

  test('a session that was ended is gone, and one never begun is not found', { timeout: 60_000 }, async () => {
    const keys = keychain('ending');
    const client = await connectSdkOne(`${base}/mcp/everything`, keys);
    const session = client.transport.sessionId;
    assert.ok(session);
    await client.close();
    for (const id of [session, crypto.randomUUID()]) {
      const answer = await fetch(`${base}/mcp/everything`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${keys.held.access_token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-session-id': id,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      });
      assert.equal(answer.status, 404);
    }
  });

  test('/tools lists what the token may use', { timeout: 60_000 }, async () => {
    const keys = keychain('listing');
    const client = await connectSdkOne(`${base}/mcp`, keys);
    await client.close();
    assert.equal((await fetch(`${base}/tools`, { redirect: 'manual' })).status, 401);
    const answer = await fetch(`${base}/tools`, { headers: { authorization: `Bearer ${keys.held.access_token}` } });
    assert.equal(answer.status, 200);
    assert.match(JSON.stringify(await answer.json()), /everything_echo/);
  });
});

describe('Python', () => {
  for (const [where, prefixes, mode] of [
    ['/mcp/everything', [''], 'auto'],
    ['/mcp', ['everything_', 'remote_'], 'auto'],
    ['/mcp?server_name=remote', [''], 'legacy'],
    ['/mcp/legacy/mcp', [''], 'legacy'],
  ]) {
    test(`${where}, ${mode}`, { timeout: 60_000 }, async () => {
      const client = await connectPython(base + where, { mode, log: path.join(folder, 'python.log') });
      for (const prefix of prefixes) await exercise(client, prefix);
      assert.equal(client.seen.signIns, 1);
      await client.close();
    });
  }

  test('an expired access token is refreshed, and nobody is asked', { timeout: 60_000 }, async () => {
    const client = await connectPython(`${base}/mcp/everything`, { log: path.join(folder, 'python.log') });
    await client.expire();
    assert.equal(textIn(await client.call('echo', { message: 'again' })), 'Echo: again');
    assert.equal(client.seen.signIns, 1);
    assert.equal(await client.refreshes(), 1);
    await client.close();
  });
});

describe('mcp-remote', () => {
  for (const [where, prefix] of [
    ['/mcp/legacy/mcp', ''],
    ['/mcp', 'everything_'],
  ]) {
    test(`stdio to ${where}, then again from its memory, then with a token that no longer works`, { timeout: 120_000 }, async () => {
      const own = scratch(`mcp-remote${where.replaceAll('/', '-')}`);
      const first = await connectMcpRemote(base + where, { folder: own });
      await exercise(first, prefix, { reorders: true });
      await first.close();
      assert.equal(first.seen.signIns, 1);

      const second = await connectMcpRemote(base + where, { folder: own });
      assert.equal(textIn(await second.call(`${prefix}echo`, { message: 'remembered' })), 'Echo: remembered');
      await second.close();
      assert.equal(second.seen.signIns, 0);

      spoilTokens(path.join(own, 'mcp-auth'));
      const third = await connectMcpRemote(base + where, { folder: own });
      assert.equal(textIn(await third.call(`${prefix}echo`, { message: 'refreshed' })), 'Echo: refreshed');
      await third.close();
      assert.equal(third.seen.signIns, 0);
    });
  }
});

describe('when something goes away', () => {
  test('a server that is down: the others go on, its callers are told, and it is used again once it is back', { timeout: 90_000 }, async () => {
    const client = await connectSdkOne(`${base}/mcp`, keychain('patient'));
    assert.equal(textIn(await client.call('remote_echo', { message: 'before' })), 'Echo: before');
    await everything.stop();
    await assert.rejects(client.call('remote_echo', { message: 'meanwhile' }), /"remote"/);
    assert.equal(textIn(await client.call('everything_echo', { message: 'meanwhile' })), 'Echo: meanwhile');
    everything = await startEverything(folder, { port: everything.port });
    let back;
    for (let attempt = 0; !back && attempt < 120; attempt += 1) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      back = await client.call('remote_echo', { message: 'after' }).catch(() => undefined);
    }
    assert.equal(textIn(back), 'Echo: after');
    await client.close();
  });

  for (const signal of ['SIGTERM', 'SIGKILL']) {
    test(`the gateway by ${signal}: its session with a server on HTTP goes on`, { timeout: 60_000 }, async () => {
      const log = path.join(folder, 'everything-http.log');
      const begun = () => fs.readFileSync(log, 'utf8').match(/Session initialized with ID/g).length;
      const client = await connectSdkOne(`${base}/mcp/remote`, keychain(`session after ${signal}`));
      assert.equal(textIn(await client.call('echo', { message: 'before' })), 'Echo: before');
      const before = begun();
      process.kill(gateway.pid, signal);
      await gateway.ended;
      gateway = await startGateway(folder, asConfigured);
      assert.equal(textIn(await client.call('echo', { message: 'after' })), 'Echo: after');
      assert.equal(begun(), before, 'the server was not initialized again');
      await client.close();
    });

    test(`the gateway by ${signal}: whoever was signed in still is, once it is back`, { timeout: 60_000 }, async () => {
      const keys = keychain(`after ${signal}`);
      const client = await connectSdkOne(`${base}/mcp/everything`, keys);
      await client.tools();
      process.kill(gateway.pid, signal);
      await gateway.ended;
      gateway = await startGateway(folder, asConfigured);
      assert.ok((await client.tools()).length > 5, 'the session goes on');
      await client.client.close();

      const again = await connectSdkOne(`${base}/mcp/everything`, keys);
      assert.ok((await again.tools()).length > 5);
      assert.equal(keys.signIns, 1);
      keys.spoilAccessToken();
      await again.tools();
      assert.equal(keys.refreshes, 1);
      await again.close();
    });
  }
});

describe('afterwards', () => {
  test('the identity provider had nothing to complain about', () => {
    assert.deepEqual(provider.errors, []);
  });

  test('no secret stands in the log', () => {
    const log = fs.readFileSync(gateway.log, 'utf8');
    const kept = keychains.flatMap(({ held, verifier, answer }) => [
      held?.access_token,
      held?.refresh_token,
      verifier,
      answer?.searchParams.get('code'),
    ]);
    for (const secret of [secrets.auth, provider.client.secret, ...kept.filter(Boolean)]) {
      assert.ok(!log.includes(secret), 'a secret was logged');
    }
    assert.doesNotMatch(log, /panicked/);
  });

  test('SIGTERM ends the gateway and its children', { timeout: 60_000 }, async () => {
    const client = await connectSdkOne(`${base}/mcp/everything`, keychain('the last one'));
    const children = childrenOf(gateway.pid);
    assert.ok(children.length > 0, 'a stdio server is running');
    const how = await gateway.stop();
    assert.deepEqual(how, { code: 0, signal: null });
    for (let attempt = 0; children.some(isRunning) && attempt < 100; attempt += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(children.filter(isRunning), []);
    await client.client.close();
  });
});

function spoilTokens(mcpAuth) {
  const files = fs.readdirSync(mcpAuth, { recursive: true }).filter((file) => file.endsWith('_tokens.json'));
  assert.equal(files.length, 1, `token files of mcp-remote: ${files}`);
  const file = path.join(mcpAuth, files[0]);
  const tokens = JSON.parse(fs.readFileSync(file, 'utf8'));
  tokens.access_token = `${tokens.access_token.slice(0, -4)}zzzz`;
  fs.writeFileSync(file, JSON.stringify(tokens));
}

/** A child is listed under the thread that started it. */
function childrenOf(pid) {
  return fs
    .readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => fs.readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(/\s+/))
    .filter(Boolean)
    .map(Number);
}

function isRunning(pid) {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
