// The conformance matrix, whole, through nginx and three nodes, of which one after the other is killed and started again all the time:
// every scenario passes that passes through one gateway. The runner sends nothing twice. So a scenario that had a request under way when a
// node died may be run again, at most twice, the second time with no node dying; one that fails without that has failed: a death between
// two requests costs a session nothing. Run by `./test nodes`; the same through one gateway is ../conformance/matrix.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { cells, notApplicable, report, settle } from '../conformance/cells.mjs';
import { listTools, PLACES, startMatrix, warmUp } from '../conformance/setup.mjs';
import { runScenario, runScenarios } from '../conformance/runner.mjs';
import { scratch } from '../interop/processes.mjs';
import { startCluster } from './cluster.mjs';
import { Reaper } from './reaper.mjs';
import { row } from './summary.mjs';

/** Each has a home of their own, and at any time one scenario under way. */
const PEOPLE = ['alice', 'bob'];
const SETTLING_MS = 60_000;
/** Far fewer than there are, however fast the machine. */
const KILLS_AT_LEAST = 15;
/** The share of scenarios that may be run again, however often nodes die; and of those, the share that may need calm to pass, or a number for when they are few. A
 * second run meets a death more often than a first, for what was hit is what takes long: a quarter of some fifty, so that half of them is no accident. */
const REPEATED_AT_MOST = 0.1;
const CALM_AT_MOST = { share: 0.5, few: 10 };

/**
 * Scenarios that lose something with a node although none of their requests is under way: a task of a server on stdio, a call that waits
 * for input, a stream that they listen on; and those that wait for less time than it takes to miss a node.
 */
const DELICATE = /^(tasks-|input-required-result-|server-sse-|server-stateless$)/;

const folder = scratch('conformance');
const file = path.join(folder, 'matrix.md');
const excuses = notApplicable();
const all = cells();
const count = { scenarios: 0, met: 0, calm: 0 };
/** What was run again, and what a kill had done to it: a line for each. */
const repeated = [];
let setup;
let reaper;

before(async () => {
  reaper = new Reaper({ settled, homeOf });
  setup = await startMatrix(folder, { launch: startCluster, people: PEOPLE, before: (...request) => reaper.before(...request) });
  reaper.start(setup.gateway.nodes);
}, { timeout: 300_000 });

after(async () => {
  await reaper?.stop();
  await setup?.stop();
});

/** Every node works, and every person has an owner node that answers. */
async function settled() {
  await setup.gateway.ready();
  const place = PLACES.find(({ era, transport }) => era === 'modern' && transport === 'http');
  await Promise.all(PEOPLE.map((person) => patiently(async () => {
    const answer = await listTools(setup.urlOf(place, person), {});
    assert.equal(answer.status, 200, await answer.text());
  })));
}

/** The node that last said of a session that it has it; a log has the beginning of a session's id. */
function homeOf(session) {
  const said = setup.gateway.nodes.flatMap((node) => {
    const lines = fs.readFileSync(node.log, 'utf8').split('\n').filter((line) => line.includes(`"${session.slice(0, 6)}…"`) && /a session (begins|goes on here)/.test(line));
    return lines.map((line) => ({ node, at: JSON.parse(line).timestamp }));
  });
  return said.sort((one, other) => one.at.localeCompare(other.at)).at(-1)?.node;
}

/** As a client that sends again what a node took along. */
async function patiently(attempt) {
  for (const until = Date.now() + SETTLING_MS; ; await pause(100)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}

/** What came of all scenarios of a cell, the first time. */
async function first({ revision, place }, url, results) {
  const began = Date.now();
  if (revision === '2026-07-28') await patiently(() => warmUp(url));
  const outcomes = await runScenarios({ url, revision, results });
  // The scenario that comes first meets a server that was started for it just now, or was to be.
  const [earliest] = [...outcomes.values()].filter((outcome) => outcome.began).sort((one, other) => one.began - other.began);
  if (earliest) earliest.began = began;
  return outcomes;
}

async function again({ revision, place }, scenario, url, results) {
  const began = Date.now();
  if (revision === '2026-07-28') await patiently(() => warmUp(url));
  return { ...(await runScenario({ url, revision, scenario, results })), began };
}

/** The outcome that counts. */
async function outcomeOf(cell, person, scenario, outcome, url, results) {
  const failed = (one) => excuses.split({ revision: cell.revision, ...cell.place }, scenario, one.problems).open.length > 0;
  const harmed = async ({ began, ended }) => (await reaper.hit(person, began, ended)) || (DELICATE.test(scenario) && reaper.met(began, ended));
  const lost = async (one) => failed(one) && (await harmed(one));
  count.scenarios += 1;
  if (reaper.met(outcome.began, outcome.ended)) count.met += 1;
  if (!(await lost(outcome))) return outcome;
  repeated.push(`- ${cell.revision}, ${cell.place.name}, ${scenario}: ${outcome.problems.map(({ message }) => message.replace(/\s+/g, ' ').slice(0, 200)).join('; ')}`);
  const second = await again(cell, scenario, url, `${results}-${scenario}`);
  if (!(await lost(second))) return second;
  count.calm += 1;
  return reaper.calm(() => again(cell, scenario, url, `${results}-${scenario}-calm`));
}

describe('the runner through three nodes, one being killed', { concurrency: PEOPLE.length }, () => {
  PEOPLE.forEach((person, who) => {
    describe(person, () => {
      for (const cell of all.filter((_, n) => n % PEOPLE.length === who)) {
        test(`client ${cell.revision}, server ${cell.place.name}`, { timeout: 900_000 }, async () => {
          const results = path.join(folder, `${cell.revision}-${cell.place.name}`);
          const url = setup.urlOf(cell.place, person);
          const found = [];
          for (const [scenario, outcome] of await first(cell, url, results)) {
            found.push(...settle(excuses, cell, scenario, await outcomeOf(cell, person, scenario, outcome, url, results)));
          }
          assert.ok(found.length === 0, `${found.length} findings:\n${found.join('\n')}`);
        });
      }
    });
  });
});

test('nodes died throughout, sessions moved, and nothing came to harm', async () => {
  await reaper.stop();
  report(all, file);
  fs.appendFileSync(file, `\n## Run again after a kill\n\n${repeated.join('\n')}\n`);
  const written = setup.gateway.logs.map((log) => fs.readFileSync(log, 'utf8')).join('');
  const moved = written.split('a session goes on here').length - 1;
  const atRequest = reaper.kills.filter((kill) => kill.atRequest).length;
  console.log(
    `${all.length} cells, ${count.scenarios} scenarios, ${count.met} of them while a node was gone; ${reaper.kills.length} kills, ${atRequest} of them ` +
      `right before a request, at the home of its session if it had one; ${moved} sessions went on at another node; ${repeated.length} scenarios run again, ${count.calm} of them once more in ` +
      `calm. In ${file}: scenario by cell, and what was run again.`,
  );
  assert.ok(reaper.kills.length >= KILLS_AT_LEAST, `${reaper.kills.length} kills`);
  assert.deepEqual(excuses.stale(), []);
  assert.ok(moved > 0, 'no session went on at another node');
  assert.doesNotMatch(written, /panicked/);
  const violations = all.flatMap(({ outcomes }) => [...outcomes.values()].flatMap(({ open }) => open)).length;
  assert.equal(violations, 0);
  // A death is of consequence for one scenario of each person at most: the one with a request under way. Half of the deaths come right before a request.
  const cap = Math.min(reaper.kills.length * PEOPLE.length, Math.floor(count.scenarios * REPEATED_AT_MOST));
  const calmCap = Math.max(CALM_AT_MOST.few, repeated.length * CALM_AT_MOST.share);
  assert.ok(count.calm <= calmCap, `${count.calm} scenarios passed in calm alone; ${repeated.length} were run again`);
  row('conformance matrix', { exercises: count.scenarios, kills: reaper.kills.length, repeated: repeated.length, cap, violations });
});
