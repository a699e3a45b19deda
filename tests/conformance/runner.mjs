// The official conformance runner as a function: which scenarios a revision has, and what came of each of them at one server. Which
// servers are asked stands in servers.mjs; what may fail, in excuses.mjs.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PACKAGE = path.join(HERE, 'node_modules/@modelcontextprotocol/conformance');

/** The runner needs Node.js 22, which is one of the dependencies here. */
export const NODE = path.join(HERE, 'node_modules/node/bin/node');
export const RUNNER = path.join(PACKAGE, 'dist/index.js');

/** Far more than a whole run takes: only a runner that hangs is ended by it. */
const LIMIT_MS = 600_000;

/** A file's time may be older than the clock's by as much. */
const TICK_MS = 10;

/** The check that fails of a scenario whose own checks were all skipped. */
export const NOTHING_LOOKED_AT = 'nothing-looked-at';

/** What a check's status says of a finding; the other statuses are none. */
const FINDINGS = { FAILURE: '', WARNING: 'SHOULD: ', SKIPPED: 'not looked at: ' };

/** The server scenarios of a revision: those it requires, and those that it runs but does not count. */
export function scenariosOf(revision) {
  const set = parse(fs.readFileSync(path.join(PACKAGE, 'requirements', `${revision}.yaml`), 'utf8'));
  return { required: set.server, optional: set.not_scored.filter(({ leg }) => leg === 'server').map(({ scenario }) => scenario) };
}

/** The client scenarios that a revision requires. */
export function clientScenariosOf(revision) {
  return parse(fs.readFileSync(path.join(PACKAGE, 'requirements', `${revision}.yaml`), 'utf8')).client;
}

/**
 * Runs all of a revision's scenarios at `url`. Answers with a map from scenario to what was wrong with it, to whether the runner looked at
 * anything at all, and to when it began and ended. A rule with SHOULD that was broken counts like one with MUST, and so does a rule that the
 * runner found nothing to look at for: at a fixture directly, neither happens.
 */
export async function runScenarios({ url, revision, results }) {
  const { required, optional } = scenariosOf(revision);
  return run(['--requirements', revision], { url, results, scenarios: [...required, ...optional] });
}

/** One of them by itself, in the way in which it is run among all of them. */
export async function runScenario({ url, revision, scenario, results }) {
  // A set of requirements runs what it names, also what does not belong to the revision.
  const outcomes = await run(['--scenario', scenario, '--spec-version', revision, '--force'], { url, results, scenarios: [scenario] });
  return outcomes.get(scenario);
}

async function run(which, { url, results, scenarios }) {
  fs.rmSync(results, { recursive: true, force: true });
  fs.mkdirSync(results, { recursive: true });
  const log = path.join(results, 'runner.log');
  const out = fs.openSync(log, 'a');
  const args = [RUNNER, 'server', '--url', url, ...which, '--output-dir', results];
  const runner = spawn(NODE, args, { stdio: ['ignore', out, out], timeout: LIMIT_MS, killSignal: 'SIGKILL' });
  fs.closeSync(out);
  const ended = await new Promise((resolve, reject) => runner.on('close', (code, signal) => resolve(signal ?? code)).on('error', reject));
  const left = collectChecks(results);
  return new Map(scenarios.map((scenario) => [scenario, outcome(left.get(scenario), `the runner left no result, and ended with ${ended}; see ${log}`)]));
}

function collectChecks(results) {
  const left = fs.readdirSync(results).flatMap((folder) => {
    const [, scenario, day, time] = /^server-(.+)-(\d{4}-\d\d-\d\d)T([\d-]+)Z$/.exec(folder) ?? [];
    if (!scenario) return [];
    // The folder is made, and named, when its scenario begins; the file is written when it ends, unless the runner gave it up.
    const [hours, minutes, seconds, thousandths] = time.split('-');
    const began = Date.parse(`${day}T${hours}:${minutes}:${seconds}.${thousandths}Z`);
    const file = path.join(results, folder, 'checks.json');
    if (!fs.existsSync(file)) return [{ scenario, began }];
    return [{ scenario, began, ended: fs.statSync(file).mtimeMs + TICK_MS, checks: JSON.parse(fs.readFileSync(file, 'utf8')) }];
  });
  left.sort((one, other) => one.began - other.began);
  left.forEach((one, n) => {
    one.ended ??= left[n + 1]?.began ?? Date.now();
  });
  return new Map(left.map((one) => [one.scenario, one]));
}

/** What came of a scenario, by what its checks say. One that looked at nothing has proved nothing, which is a problem of its own. */
export function outcome({ checks, began, ended } = {}, missing) {
  if (!checks) return { looked: true, problems: [{ check: 'no-result', message: missing }], began, ended };
  const looked = checks.some(({ status }) => status !== 'SKIPPED');
  if (!looked) {
    const skipped = checks.map(({ id, errorMessage = 'no reason given' }) => `${id}: ${errorMessage}`).join('; ');
    return { looked, problems: [{ check: NOTHING_LOOKED_AT, message: `every check was skipped: ${skipped || 'there is none'}` }], began, ended };
  }
  const problems = checks.filter(({ status }) => status in FINDINGS);
  return {
    looked,
    problems: problems.map(({ id, status, errorMessage = 'no reason given' }) => ({ check: id, message: FINDINGS[status] + errorMessage })),
    began,
    ended,
  };
}
