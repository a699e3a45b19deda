// The runner asks every fixture directly, for each revision that its era speaks. What fails here is the fixture's own, or its SDK's, and
// must stand in known_fixture_failures.json; the same scenarios through the gateway are matrix.test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { scratch } from '../interop/processes.mjs';
import { Excuses } from './excuses.mjs';
import { runScenarios } from './runner.mjs';
import { REVISIONS_OF, SERVERS, startHttp } from './servers.mjs';

const folder = scratch('fixtures');
const known = new Excuses(path.join(path.dirname(fileURLToPath(import.meta.url)), 'known_fixture_failures.json'));
const running = new Map();

before(async () => {
  for (const server of SERVERS) running.set(server.name, await startHttp(server, folder));
}, { timeout: 120_000 });

after(async () => {
  for (const { stop } of running.values()) await stop();
});

describe('the runner at a fixture, no gateway between', { concurrency: 2 }, () => {
  for (const server of SERVERS) {
    for (const revision of REVISIONS_OF[server.era]) {
      test(`${server.name}, ${revision}`, { timeout: 600_000 }, async () => {
        const results = path.join(folder, `${server.name}-${revision}`);
        const found = [];
        for (const [scenario, { problems }] of await runScenarios({ url: running.get(server.name).url, revision, results })) {
          const { open } = known.apply({ revision, server: server.name, transport: 'http' }, scenario, problems);
          for (const { check, message } of open) found.push(`${scenario}: ${check}: ${message}`);
        }
        assert.deepEqual(found, []);
      });
    }
  }
});

test('no known failure of a fixture passes', () => {
  assert.deepEqual(known.stale(), []);
});
