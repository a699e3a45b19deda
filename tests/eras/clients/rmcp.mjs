// Rust's rmcp as a client: the program `era-client` of the testkit, started once for each exercise. It connects, goes through one script,
// and prints what it saw as a line of JSON; what must be in it is asserted here. The clients with verbs are next door.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { COLOUR, NAME, PAGE, VISIT } from '../servers/story.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** By the names of ../exercises.mjs and ../round.mjs; what is missing here would have to be in the table of ../matrix.mjs. */
const SCRIPTS = {
  async echo({ run, prefix }) {
    const message = 'Ærlig talt: ☃ "quoted" \\ and 𝔘nicode';
    assert.equal((await run('call', `${prefix}echo`, { message })).text, message);
  },
  async elicit({ run, prefix }) {
    const seen = await run('elicit', `${prefix}elicit`, {});
    assert.equal(seen.text, 'hello Ada');
    assert.deepEqual(seen.asked, [NAME.message]);
  },
  async 'two questions'({ run, prefix }) {
    const seen = await run('elicit', `${prefix}two_questions`, {});
    assert.equal(seen.text, 'Ada likes red');
    assert.deepEqual(seen.asked, [NAME.message, COLOUR.message]);
  },
  async 'questions at once'({ run, prefix }) {
    const seen = await run('elicit', `${prefix}at_once`, {});
    assert.equal(seen.text, 'Ada: Paris, said the model');
    assert.deepEqual(seen.asked, [NAME.message]);
  },
  async elicit_url({ run, prefix, era, serverEra }) {
    // As in ../exercises.mjs: the identifier and the word that all is done exist in the legacy era only.
    const toTheEnd = era === 'legacy' && serverEra === 'legacy';
    const seen = await run(toTheEnd ? 'visit-to-the-end' : 'visit', `${prefix}elicit_url`, {});
    assert.equal(seen.text, 'page: accept');
    assert.equal(seen.asked.length, 1);
    const [{ id, ...asked }] = seen.asked;
    assert.deepEqual(asked, { message: VISIT.message, url: PAGE });
    if (era === 'legacy') assert.notEqual(id, '');
  },
  async 'prompt that asks'({ run, prefix }) {
    const seen = await run('prompt', `${prefix}greet`, {});
    assert.equal(seen.text, 'hello Ada');
    assert.deepEqual(seen.asked, [NAME.message]);
  },
  async 'asking in vain'({ run, prefix, behind }) {
    for (const [tool, args] of [['elicit', {}], ['sample', { prompt: 'Polly?' }], ['roots', {}]]) {
      const seen = await run('ask-in-vain', prefix + tool, args, ['--next', `${prefix}cancelled`]);
      assert.doesNotMatch(seen.refused, /timed? ?out/i, tool);
      // A server may be too bold; the gateway does not let that through.
      if (behind) assert.deepEqual(seen.asked, [], tool);
      assert.match(seen.text, /^\d+$/, 'the next call');
    }
  },
  async sample({ run, prefix }) {
    const seen = await run('sample', `${prefix}sample`, { prompt: 'Polly?' });
    assert.equal(seen.text, 'Paris, said the model');
    assert.deepEqual(seen.asked, ['Polly?']);
  },
  async roots({ run, prefix }) {
    const seen = await run('roots', `${prefix}roots`, {});
    assert.match(seen.text, /file:\/\/\/exercise\/one$/m);
    assert.match(seen.text, /file:\/\/\/exercise\/two$/m);
  },
  async progress({ run, prefix }) {
    const seen = await run('progress', `${prefix}slow`, { steps: 4, milliseconds: 20 });
    assert.deepEqual(seen.progress, [1, 2, 3, 4]);
    assert.equal(seen.text, '4 steps done');
  },
  async 'progress and a question'({ run, prefix }) {
    const seen = await run('progress', `${prefix}ask_while_working`, {});
    // Its notifications are handled each in a task of its own, which need not keep their order.
    assert.deepEqual(seen.progress.toSorted(), [1, 2, 3]);
    assert.equal(seen.text, 'hello Ada');
  },
  async cancel({ run, prefix }) {
    // It fails if the server does not notice: that is counted in the same session, whose process the server may be.
    const seen = await run('cancel', `${prefix}slow`, { steps: 100, milliseconds: 300 });
    assert.equal(seen.cancelled, true);
    assert.ok(seen.counted > 0, JSON.stringify(seen));
  },
  async subscribe({ run, prefix, thing }) {
    const seen = await run('subscribe', `${prefix}touch`, {}, ['--uri', thing]);
    assert.equal(seen.updated, thing);
  },
  async 'list change'({ run, prefix }) {
    const seen = await run('list-change', `${prefix}grow`, {});
    const [before, between, after] = [seen.before, seen.between, seen.after].map((names) => names.includes(`${prefix}grown`));
    assert.deepEqual({ between, after }, { between: !before, after: before }, 'the list after each change');
  },
  async log({ run, prefix }) {
    const unheard = JSON.stringify({ level: 'info', message: 'too small' });
    const seen = await run('log', `${prefix}log`, { level: 'error', message: 'loud' }, ['--level', 'warning', '--unheard', unheard]);
    assert.deepEqual(seen.logs, [{ level: 'error', logger: 'era', data: 'loud' }]);
  },
};

// A server that asks before this SDK's own GET stream is open reaches no client: face to face, which the gateway has no part in, what then
// hangs is done once more. More than so many in a run are no accident.
const HANGS = 9_000;
const MOST_HANGS = 4;
let hung = 0;

/** Goes through an exercise at `where`, which is a URL with a token: the program speaks HTTP only. */
export async function performRmcp(exercise, { era, where, ...facing }) {
  const behind = Boolean(where.token);
  const run = async (script, tool, args, further = []) => {
    const words = ['--url', where.url, ...(behind ? ['--token', where.token] : []), '--era', era, '--script', script, '--tool', tool, '--arguments', JSON.stringify(args), ...further];
    const seen = await eraClient(words, behind ? undefined : HANGS);
    if (seen) return seen;
    hung += 1;
    assert.ok(hung <= MOST_HANGS, `face to face, ${hung} exercises hung`);
    return eraClient(words);
  };
  await SCRIPTS[exercise]({ run, era, behind, ...facing });
}

/** What it printed; `undefined` if it took longer than so many milliseconds. */
async function eraClient(args, longest) {
  const program = process.env.ERA_CLIENT ?? path.join(ROOT, 'target/debug/era-client');
  if (!fs.existsSync(program)) throw new Error(`${program} is not there: cargo build -p portunus-testkit`);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) child[stream].setEncoding('utf8').on('data', (part) => (printed[stream] += part));
  let tookTooLong = false;
  const timer = longest && setTimeout(() => ((tookTooLong = true), kill()), longest);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  process.off('exit', kill);
  if (tookTooLong) return undefined;
  assert.equal(code, 0, `era-client ended with ${code}: ${printed.stdout}${printed.stderr}`);
  return JSON.parse(printed.stdout);
}
