// Groups stay true, with real peers: a group is taken away at a certified identity provider, and the live session of an official client
// loses the tools, without anybody signing in again. Run by `./test interop`.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { connectClientTwo, connectSdkOne } from './clients.mjs';
import { PEOPLE, startProvider } from './provider.mjs';
import { EVERYTHING, freePort, scratch, startGateway } from './processes.mjs';
import { Keychain } from './sign_in.mjs';

const folder = scratch('groups');
const AS_BEFORE = [...PEOPLE.alice.groups];
let provider;
let gateway;
let base;

before(async () => {
  const [providerPort, gatewayPort] = [await freePort(), await freePort()];
  base = `http://localhost:${gatewayPort}`;
  provider = await startProvider({
    port: providerPort,
    redirectUris: [`${base}/auth/callback/testidp`, `${base}/auth/callback`],
    signedOutUris: [`${base}/auth/signout`],
  });
  gateway = await startGateway(folder, {
    port: gatewayPort,
    env: {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_TESTIDP_OFFLINE_ACCESS: 'true',
      AUTH_SECRET: randomBytes(33).toString('base64'),
    },
    mcp: { mcpServers: { everything: { command: process.execPath, args: [EVERYTHING, 'stdio'] } } },
    config: 'lifetimes: {groups_interval: 10s}\naccess:\n  - {name: engineers, who: {groups: [engineering]}, servers: [everything]}\n',
  });
}, { timeout: 120_000 });

after(async () => {
  PEOPLE.alice.groups = AS_BEFORE;
  await gateway?.stop();
  await provider?.stop();
});

/** Until `holds` does; the end of the test is the end of the waiting. */
async function until(holds) {
  // bounded: by the test's own deadline.
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 500));
}

describe('a group that is taken away at the provider', () => {
  // A modern client keeps a list for as long as the list says, so it is the calls that are looked at.
  for (const [name, connect, keepsLists] of [
    ['SDK 1.x', connectSdkOne, false],
    ['client 2.x, probing for the modern era', (url, keys) => connectClientTwo(url, keys, 'auto'), true],
  ]) {
    test(name, { timeout: 180_000 }, async () => {
      PEOPLE.alice.groups = AS_BEFORE;
      const keys = new Keychain({ name: `${name}, groups`, person: 'alice' });
      const client = await connect(`${base}/mcp`, keys);
      const listed = async () => (await client.tools()).length;
      const called = () => client.call('everything_echo', { message: 'here' }).then((result) => !result.isError, () => false);
      assert.ok((await listed()) > 0 && (await called()));
      PEOPLE.alice.groups = ['admins'];
      await until(async () => !(await called()));
      if (!keepsLists) assert.equal(await listed(), 0);
      PEOPLE.alice.groups = AS_BEFORE;
      await until(called);
      if (!keepsLists) assert.ok((await listed()) > 0);
      assert.equal(keys.signIns, 1, 'nobody was asked');
      await client.close();
    });
  }
});
