// The official runner's server scenarios through a running gateway: clients of either revision at servers of every era, on stdio and on
// HTTP. Where client and server are of different eras, the gateway translates, and that is what is tested. What does not exist on the
// other side stands in not_applicable.json with its reason; everything else has to pass. The fixtures alone: fixtures.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { scratch } from '../interop/world.mjs';
import { Excuses } from './excuses.mjs';
import { PLACES, startHouse, warmUp } from './house.mjs';
import { runScenarios, scenariosOf } from './runner.mjs';
import { findings, table } from './table.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const REVISIONS = ['2025-11-25', '2026-07-28'];

const folder = scratch('matrix');
const report = path.join(path.dirname(folder), 'conformance-matrix.md');
const notApplicable = new Excuses(path.join(HERE, 'not_applicable.json'));
const cells = REVISIONS.flatMap((revision) => PLACES.map((place) => ({ revision, place, outcomes: new Map() })));
let house;

before(async () => {
  house = await startHouse(folder);
}, { timeout: 300_000 });

after(async () => {
  await house?.stop();
});

describe('the runner through the gateway', { concurrency: 2 }, () => {
  for (const cell of cells) {
    const { revision, place, outcomes } = cell;
    test(`client ${revision}, server ${place.name}`, { timeout: 900_000 }, async () => {
      const results = path.join(folder, `${revision}-${place.name}`);
      const found = [];
      if (revision === '2026-07-28') await warmUp(house.urlOf(place));
      for (const [scenario, outcome] of await runScenarios({ url: house.urlOf(place), revision, results })) {
        const { excused, open } = notApplicable.apply({ revision, ...place }, scenario, outcome.problems);
        outcomes.set(scenario, { ...outcome, excused, open });
        for (const { check, message } of open) found.push(`${scenario}: ${check}: ${message}`);
      }
      assert.ok(found.length === 0, `${found.length} findings:\n${found.join('\n')}`);
    });
  }
});

test('nothing passes that not_applicable.json says cannot', () => {
  const tables = REVISIONS.map((revision) => table(revision, cells.filter((cell) => cell.revision === revision), scenariosOf(revision)));
  fs.writeFileSync(report, [...tables, findings(cells)].join('\n'));
  console.log(`${tables.join('\n')}\nAlso in ${report}, with every finding.`);
  assert.deepEqual(notApplicable.stale(), []);
});
