// The client scenarios of the official conformance runner, with `portunus connect` as the client: every one that a revision requires, at
// that revision. What may fail stands in excuses.json, check by check by its name, each with its reason; one that passes is stale there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { NODE, RUNNER, clientScenariosOf } from '../conformance/runner.mjs';
import { scratch } from '../interop/processes.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const DRIVER = `${NODE} ${path.join(HERE, 'conformance_client.mjs')}`;
const excuses = JSON.parse(fs.readFileSync(path.join(HERE, 'excuses.json'), 'utf8'));

for (const { reason, checks, scenario, revision } of excuses) {
  assert.ok(reason && scenario && revision && checks?.length > 0, 'an excuse names its revision, scenario, checks and reason');
}

for (const revision of ['2025-11-25', '2026-07-28']) {
  for (const scenario of clientScenariosOf(revision)) {
    test(`${revision} ${scenario}`, { timeout: 120_000 }, async () => {
      const { checks, said, code } = await run(revision, scenario);
      const findings = checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING' || status === 'SKIPPED');
      const excused = excuses.filter((one) => one.revision === revision && one.scenario === scenario).flatMap((one) => one.checks);
      const open = findings.filter(({ name }) => !excused.includes(name));
      assert.deepEqual(open.map(({ id, name, status, errorMessage }) => `${status} ${id} (${name}): ${errorMessage ?? ''}`), [], said);
      assert.ok(checks.some(({ status }) => status === 'SUCCESS'), `nothing was looked at, and the runner ended with ${code}\n${said}`);
      const stale = excused.filter((name) => !findings.some((finding) => finding.name === name));
      assert.deepEqual(stale, [], 'passes now, and needs no excuse');
    });
  }
}

async function run(revision, scenario) {
  const results = scratch(`conformance/${revision}-${scenario.replaceAll('/', '-')}`);
  const args = [RUNNER, 'client', '--command', DRIVER, '--scenario', scenario, '--spec-version', revision, '--force', '--output-dir', results, '--timeout', '60000'];
  const runner = spawn(NODE, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  for (const stream of [runner.stdout, runner.stderr]) stream.on('data', (piece) => said.push(piece));
  const code = await new Promise((resolve, reject) => runner.on('close', resolve).on('error', reject));
  const files = fs.readdirSync(results, { recursive: true }).filter((file) => path.basename(file) === 'checks.json');
  const checks = files.flatMap((file) => JSON.parse(fs.readFileSync(path.join(results, file), 'utf8')));
  return { checks, code, said: Buffer.concat(said).toString() };
}
