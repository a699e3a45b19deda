// A server that is one child for all users, behind three nodes: it runs on one of them, whichever node is asked, and on another after that
// one was killed. Users and their sessions are next door, in nodes.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { CLIENTS } from '../eras/clients/clients.mjs';
import { answer, said } from '../eras/exercises.mjs';
import { FIXTURES, stdioCommand } from '../eras/fixtures.mjs';
import { Setup } from '../eras/setup.mjs';
import { startCluster } from './cluster.mjs';

const LEGACY = FIXTURES.find(({ name }) => name === 'legacy-stdio');

class Nodes extends Setup {
  startGateway(folder, options) {
    options.mcp.mcpServers.shared = { ...stdioCommand(LEGACY), isolation: 'shared' };
    return startCluster(folder, options);
  }
}

const setup = new Nodes('shared');
const PATIENCE = { timeout: 120_000 };
const PEOPLE = ['alice', 'bob', 'carol', 'dave'];
const clients = [];

before(async () => {
  await setup.start();
  const client = CLIENTS.find(({ name }) => name === 'TypeScript 1.x');
  for (const [n, person] of PEOPLE.entries()) {
    // Each has a home where round robin is when they come: not the same for all.
    for (let health = 0; health < n; health += 1) await fetch(`${setup.base}/health`);
    clients.push(await client.connect(await setup.throughGateway('/mcp/shared', person), { answer, log: setup.log }));
  }
}, { timeout: 180_000 });
after(async () => {
  for (const client of clients) client.close().catch(() => {});
  await setup.stop();
});

/** The nodes that have logged this so far. */
const whoLogged = (what) => setup.gateway.nodes.filter((node) => what.test(fs.readFileSync(node.log, 'utf8')));
const owners = () => whoLogged(/"connected to a server","server":"shared"/);
const others = () => whoLogged(/"a shared server runs at another node"/);

const touched = async (client) => (await client.read(LEGACY.thing)).contents[0].text;

describe('one child for everybody', () => {
  let owner;

  test('what one person does, all see', PATIENCE, async () => {
    await Promise.all(clients.map((client) => client.call('touch')));
    for (const client of clients) assert.equal(await touched(client), `touched ${PEOPLE.length} times`);
    assert.equal(owners().length, 1);
    assert.ok(others().length > 0, 'somebody is at home elsewhere');
    [owner] = owners();
  });

  test('its node is killed: calls under way may or may not have run, and another node has it', PATIENCE, async () => {
    const calls = Promise.allSettled(clients.map((client) => client.call('slow', { steps: 600, milliseconds: 100 })));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await owner.kill();
    const reasons = (await calls).map(({ reason }) => reason);
    // Whose home or way in was that node, lost more than the call.
    for (const { message } of reasons) assert.match(message, /may or may not have run|fetch failed|terminated|502/);
    assert.ok(whoLogged(/"the node that runs the server is gone: the call may or may not have run"/).length > 0, 'somebody lost the call alone');
    await Promise.all(clients.map((client) => client.call('touch')));
    for (const client of clients) assert.equal(await touched(client), `touched ${PEOPLE.length} times`, 'another process, and one');
    assert.equal(owners().length, 2);
    await owner.launch();
  });

  test('its node stops: calls under way are finished, and another node has it', PATIENCE, async () => {
    const [stopping] = owners().filter((node) => node !== owner);
    const calls = Promise.all(clients.map((client) => client.call('slow', { steps: 20, milliseconds: 100 })));
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal((await stopping.stop()).code, 0);
    for (const call of await calls) assert.equal(said(call), '20 steps done');
    await clients[0].call('touch');
    for (const client of clients) assert.equal(await touched(client), 'touched 1 times');
    await stopping.launch();
  });
});

test('nodes, nginx and the provider came to no harm', () => setup.assertUnharmed());
