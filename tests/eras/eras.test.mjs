// Official clients and servers of both eras: first face to face, so that what fails afterwards is the gateway's; then through the gateway,
// every client with every server, whichever eras the two speak. Run by `./test eras`; the matrix goes to $SCRATCH/eras-matrix.md.
// Several clients at the same time are next door, in together.test.mjs.
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { CLIENTS } from './clients/clients.mjs';
import { WITH_EVERYTHING } from './everything.mjs';
import { EXERCISES } from './exercises.mjs';
import { FIXTURES, speaks } from './fixtures.mjs';
import { Matrix } from './matrix.mjs';
import { IN_VAIN, round } from './round.mjs';
import { REFERENCE, Setup } from './setup.mjs';

const setup = new Setup('eras');
const matrix = new Matrix();

before(() => setup.start(), { timeout: 120_000 });

after(async () => {
  matrix.write(path.join(process.env.SCRATCH ?? setup.folder, 'eras-matrix.md'));
  await setup.stop();
});

const meet = (part, client, servers, where, exercises) => round({ matrix, part, client, servers, where, log: setup.log, exercises });
const all = { ...EXERCISES, [IN_VAIN]: undefined };

/** Servers on stdio and servers on HTTP side by side: no server is met by two clients at once, for some of what they do is counted. */
function byTransport(part, meetAll) {
  describe(part, { concurrency: true }, () => {
    for (const transport of ['stdio', 'http']) {
      describe(transport, { concurrency: 1 }, () => meetAll((server) => server.transport === transport));
    }
  });
}

byTransport('face to face', (isMeant) => {
  for (const client of CLIENTS) {
    for (const fixture of FIXTURES.filter((one) => isMeant(one) && speaks(one, client.era) && (client.connect || one.transport === 'http'))) {
      meet('face to face', client, [fixture], () => setup.directly(fixture), all);
    }
  }
  for (const client of CLIENTS.filter(({ era, connect }) => era === 'legacy' && connect)) {
    for (const server of REFERENCE.filter(isMeant)) meet('face to face with server-everything', client, [server], () => setup.directly(server), WITH_EVERYTHING);
  }
});

byTransport('through the gateway', (isMeant) => {
  for (const client of CLIENTS) {
    for (const fixture of FIXTURES.filter(isMeant)) meet('through the gateway', client, [fixture], () => setup.throughGateway(`/mcp/${fixture.name}`), all);
  }
  for (const client of CLIENTS.filter(({ connect }) => connect)) {
    for (const server of REFERENCE.filter(isMeant)) meet('through the gateway to server-everything', client, [server], () => setup.throughGateway(`/mcp/${server.name}`), WITH_EVERYTHING);
  }
});

describe('through the gateway at one path', () => {
  // One connection for all servers; log levels, being the session's, are left to the round before.
  const { log, ...exercises } = EXERCISES;
  for (const client of CLIENTS) {
    const servers = FIXTURES.map((fixture) => ({ ...fixture, prefix: `${fixture.name}_` }));
    meet('through the gateway at one path', client, servers, () => setup.throughGateway('/mcp'), exercises);
  }
});

describe('afterwards', () => {
  test('the gateway and the identity provider had nothing to complain about', () => setup.assertUnharmed());
});
