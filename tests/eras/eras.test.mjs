// Official clients and servers of both eras: first face to face, so that what fails afterwards is the gateway's; then through the gateway,
// every client with every server, whichever eras the two speak. Run by `./test eras`; the matrix goes to $SCRATCH/eras-matrix.md.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startProvider } from '../interop/provider.mjs';
import { freePort, scratch, startGateway } from '../interop/world.mjs';
import { CLIENTS } from './clients/clients.mjs';
import { FIXTURES, speaks, startHttp, stdioCommand } from './fixtures.mjs';
import { Matrix } from './matrix.mjs';
import { ALL, round } from './round.mjs';
import { Tokens } from './token.mjs';

const folder = scratch('eras');
const log = path.join(folder, 'python.log');
const matrix = new Matrix();
const running = new Map();
let provider;
let gateway;
let tokens;

before(async () => {
  for (const fixture of FIXTURES.filter(({ transport }) => transport === 'http')) running.set(fixture.name, await startHttp(fixture, folder));
  const [providerPort, port] = [await freePort(), await freePort()];
  const base = `http://localhost:${port}`;
  provider = await startProvider({
    port: providerPort,
    redirectUris: [`${base}/auth/callback/testidp`, `${base}/auth/callback`],
    signedOutUris: [`${base}/`],
  });
  gateway = await startGateway(folder, {
    port,
    env: {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_SECRET: randomBytes(33).toString('base64'),
      LOG_LEVEL: 'debug',
    },
    mcp: {
      mcpServers: Object.fromEntries(
        FIXTURES.map((fixture) => [fixture.name, fixture.transport === 'stdio' ? stdioCommand(fixture) : { url: running.get(fixture.name).url, type: 'http' }]),
      ),
    },
    config: '',
  });
  tokens = new Tokens(base);
}, { timeout: 120_000 });

after(async () => {
  matrix.write(path.join(process.env.SCRATCH ?? folder, 'eras-matrix.md'));
  await gateway?.stop();
  for (const fixture of running.values()) await fixture.stop();
  await provider?.stop();
});

describe('face to face', () => {
  for (const client of CLIENTS) {
    for (const fixture of FIXTURES.filter((one) => speaks(one, client.era) && (client.connect || one.transport === 'http'))) {
      const where = () => (fixture.transport === 'stdio' ? stdioCommand(fixture) : { url: running.get(fixture.name).url });
      round({ matrix, part: 'face to face', client, servers: [fixture], where, log });
    }
  }
});

describe('through the gateway', () => {
  for (const client of CLIENTS) {
    for (const fixture of FIXTURES) {
      const where = () => throughGateway(`/mcp/${fixture.name}`);
      round({ matrix, part: 'through the gateway', client, servers: [fixture], where, log });
    }
  }
});

describe('through the gateway at one path', () => {
  // One connection for all servers; log levels, being the session's, are left to the round before.
  const exercises = ALL.filter((exercise) => !['log', 'asking in vain'].includes(exercise));
  for (const client of CLIENTS) {
    const servers = FIXTURES.map((fixture) => ({ ...fixture, prefix: `${fixture.name}_` }));
    round({ matrix, part: 'through the gateway at one path', client, servers, where: () => throughGateway('/mcp'), log, exercises });
  }
});

describe('afterwards', () => {
  test('the gateway did not panic, and logged no token', () => {
    const written = fs.readFileSync(gateway.log, 'utf8');
    assert.doesNotMatch(written, /panicked/);
    for (const { token } of tokens.held.values()) assert.ok(!written.includes(token));
  });
});

async function throughGateway(at) {
  const url = gateway.baseUrl + at;
  return { url, token: await tokens.for(url) };
}
