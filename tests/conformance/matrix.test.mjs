// The official runner's server scenarios through a running gateway: clients of either revision at servers of every era, on stdio and on
// HTTP. Where client and server are of different eras, the gateway translates, and that is what is tested. What does not exist on the
// other side stands in not_applicable.json with its reason; everything else has to pass. The fixtures alone: fixtures.test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { scratch } from '../interop/processes.mjs';
import { cells, notApplicable, report, settle } from './cells.mjs';
import { startMatrix, warmUp } from './setup.mjs';
import { runScenarios } from './runner.mjs';

const folder = scratch('matrix');
const file = path.join(path.dirname(folder), 'conformance-matrix.md');
const excuses = notApplicable();
const all = cells();
let setup;

before(async () => {
  setup = await startMatrix(folder);
}, { timeout: 300_000 });

after(async () => {
  await setup?.stop();
});

describe('the runner through the gateway', { concurrency: 2 }, () => {
  for (const cell of all) {
    const { revision, place } = cell;
    test(`client ${revision}, server ${place.name}`, { timeout: 900_000 }, async () => {
      const results = path.join(folder, `${revision}-${place.name}`);
      const found = [];
      if (revision === '2026-07-28') await warmUp(setup.urlOf(place));
      for (const [scenario, outcome] of await runScenarios({ url: setup.urlOf(place), revision, results })) {
        found.push(...settle(excuses, cell, scenario, outcome));
      }
      assert.ok(found.length === 0, `${found.length} findings:\n${found.join('\n')}`);
    });
  }
});

test('nothing passes that not_applicable.json says cannot', () => {
  console.log(`${report(all, file)}\nAlso in ${file}, with every finding.`);
  assert.deepEqual(excuses.stale(), []);
});
