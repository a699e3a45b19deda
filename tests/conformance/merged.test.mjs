// The official runner's server scenarios on `/mcp`, where a gateway shows all its servers as one: lists are merged, and every request finds
// its server, also what is asked about tasks later on. Names are plain, for the runner knows them. One server alone: matrix.test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';

import { scratch } from '../interop/processes.mjs';
import { notApplicable } from './cells.mjs';
import { startMerged, warmUp } from './setup.mjs';
import { runScenarios } from './runner.mjs';
import { SERVERS } from './servers.mjs';

const folder = scratch('merged');
const excuses = notApplicable();
const CELLS = [
  { revision: '2026-07-28', server: 'ts-modern', transport: 'http' },
  { revision: '2026-07-28', server: 'ts-modern', transport: 'stdio' },
  { revision: '2025-11-25', server: 'ts-legacy', transport: 'http' },
  { revision: '2025-11-25', server: 'ts-both', transport: 'stdio' },
];

describe('the runner on the merged endpoint', () => {
  for (const { revision, server, transport } of CELLS) {
    test(`client ${revision}, ${server} on ${transport} among others`, { timeout: 900_000 }, async () => {
      const place = scratch(path.join('merged', `${revision}-${server}-${transport}`));
      const setup = await startMerged(place, SERVERS.find(({ name }) => name === server), transport);
      try {
        if (revision === '2026-07-28') await warmUp(setup.url);
        const outcomes = await runScenarios({ url: setup.url, revision, results: path.join(place, 'results') });
        const looked = [...outcomes.values()].filter((outcome) => outcome.looked);
        assert.ok(looked.length > 20, `the runner looked at ${looked.length} scenarios only: see ${folder}`);
        const found = [...outcomes].flatMap(([scenario, { problems }]) =>
          excuses.split({ revision, server, transport }, scenario, problems).open.map(({ check, message }) => `${scenario}: ${check}: ${message}`),
        );
        assert.ok(found.length === 0, `${found.length} findings:\n${found.join('\n')}`);
      } finally {
        await setup.stop();
      }
    });
  }
});
