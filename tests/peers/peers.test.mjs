// Clients and servers that other people wrote, in Go, Java, Python and TypeScript: every client does the same exercises at every server,
// first face to face, then through the gateway after a sign-in. What works directly works through the gateway, and looks the same:
// asserted exercise by exercise. Run by `./test peers`; PEERS_ONLY=words runs only the pairs whose names have them all, and then asks
// nothing of the table as a whole.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { CLIENTS, Dock, meets } from './clients.mjs';
import { FACTS } from './facts.mjs';
import { Opencode, startRefusal } from './opencode.mjs';
import { CONNECT, round } from './round.mjs';
import { SERVERS } from './servers.mjs';
import { Setup } from './setup.mjs';
import { Table } from './table.mjs';

/** In milliseconds: for what works, and for what the facts say does not, which may hang. A connection may take a process. */
const PATIENCE = { working: 20_000, hanging: (name) => (name === CONNECT ? 8_000 : 2_500) };

/** More than there are cores: much of the time goes by in waiting for what does not come. */
const LANES_AT_ONCE = 5;

const only = process.env.PEERS_ONLY?.split(' ').filter(Boolean) ?? [];
const isChosen = (client, server) => meets(client, server) && only.every((word) => `${client.name} | ${server.name}`.includes(word));

/**
 * Face to face, which the gateway has no part in, what should work is done once more when it did not: some clients lose a notification
 * now and then while the machine is busy. More than so many in a run are no accident.
 */
const MOST_REPEATED = 6;
const repeated = [];

const setup = new Setup();
const table = new Table(CLIENTS, SERVERS, FACTS);
const found = [];

before(() => setup.start(), { timeout: 120_000 });

after(async () => {
  console.log(table.text());
  console.log(`done twice face to face: ${repeated.join('; ') || 'nothing'}`);
  fs.writeFileSync(path.join(setup.folder, 'table.txt'), `${table.text()}\n`);
  fs.writeFileSync(path.join(setup.folder, 'found.json'), JSON.stringify(found, undefined, 1));
  await setup.stop();
});

/** What a client does at a server, both ways. */
async function meet(client, server, dock) {
  const patienceFor = (name) => (table.fact(client.name, server.name, name) ? PATIENCE.hanging(name) : PATIENCE.working);
  const isWorthAnother = (name, why) => {
    if (table.fact(client.name, server.name, name)) return false;
    repeated.push(`${client.name} at ${server.name}, ${name}: ${why}`);
    return true;
  };
  const directly = await round({ client, server, dock, where: setup.directly(server), patienceFor, isWorthAnother });
  const wanted = new Set([...directly].filter(([, { ok }]) => ok).map(([name]) => name));
  if (!wanted.has(CONNECT)) return { directly, through: new Map() };
  const where = await setup.throughGateway(server, client.signsIn);
  return { directly, through: await round({ client, server, dock, where, patienceFor: () => PATIENCE.working, wanted }) };
}

describe('pairs', { concurrency: LANES_AT_ONCE }, () => {
  for (const lane of new Set(SERVERS.map((server) => server.lane))) {
    describe(lane, { concurrency: 1 }, () => {
      let dock;
      before(() => (dock = new Dock(lane, setup.folder)));
      after(() => dock.stop());
      for (const server of SERVERS.filter((one) => one.lane === lane)) {
        for (const client of CLIENTS.filter((one) => isChosen(one, server))) {
          test(`${client.name} at ${server.name}`, { timeout: 240_000 }, async () => {
            const { directly, through } = await meet(client, server, dock);
            const outcomes = { directly: Object.fromEntries(directly), through: Object.fromEntries(through) };
            found.push({ client: client.name, server: server.name, ...outcomes });
            const wrong = table.note(client.name, server.name, directly, through);
            if (wrong.length > 0) assert.fail(wrong.join('\n'));
          });
        }
      }
    });
  }
});

describe('opencode', { skip: only.length > 0 && !only.includes('opencode') && 'only some pairs were chosen' }, () => {
  const servers = SERVERS.filter(({ name }) => ['everything-http', 'go-http', 'java-stateless', 'fastmcp-http'].includes(name));
  let elsewhere;
  before(async () => (elsewhere = await startRefusal()));
  after(async () => {
    console.log(`opencode wanted from elsewhere, and did not get: ${[...new Set(elsewhere.asked)].join(' ') || 'nothing'}`);
    await elsewhere.stop();
  });

  test('lists servers as connected, directly, and after it has signed in through the gateway', { timeout: 240_000 }, async () => {
    const directly = new Opencode(path.join(setup.folder, 'directly'), urls((server) => setup.directly(server).url), elsewhere);
    const connected = connectedIn((await directly.mcp('list')).printed);
    assert.deepEqual(connected, servers.map(({ name }) => name).toSorted());

    const through = new Opencode(path.join(setup.folder, 'through'), urls(({ name }) => `${setup.base}/mcp/${name}`), elsewhere);
    assert.deepEqual(connectedIn((await through.mcp('list')).printed), [], 'before anybody has signed in');
    for (const { name } of servers) {
      const { printed, signIns } = await through.mcp('auth', name);
      assert.equal(signIns, 1, printed);
    }
    assert.deepEqual(connectedIn((await through.mcp('list')).printed), connected);
  });

  function urls(of) {
    return Object.fromEntries(servers.map((server) => [server.name, of(server)]));
  }

  function connectedIn(printed) {
    return [...printed.matchAll(/✓ (\S+)\s+connected/g)].map(([, name]) => name).toSorted();
  }
});

describe('afterwards', () => {
  test('every pair was met, and every fact was found', { skip: only.length > 0 && 'only some pairs were chosen' }, () => {
    const pairs = CLIENTS.flatMap((client) => SERVERS.filter((server) => meets(client, server)));
    assert.equal(table.cells.size, pairs.length);
    assert.deepEqual(table.unused(), []);
  });

  test('face to face little had to be done twice', () => assert.ok(repeated.length <= MOST_REPEATED, repeated.join('\n')));

  test('the gateway and the identity provider had nothing to complain about', () => setup.assertUnharmed());
});
