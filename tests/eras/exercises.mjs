// What every client must be able to do with every server, whichever eras the two speak. Each exercise takes a connected client (see
// clients/), what stands before tool and prompt names, the eras of the two, and the
// URI of the resource that the server changes. What the servers do is written in servers/story.mjs.
import assert from 'node:assert/strict';

import { COLOUR, NAME, PAGE } from './servers/story.mjs';

export const ROOTS = [
  { uri: 'file:///projects/harbour', name: 'harbour' },
  { uri: 'file:///projects/doors', name: 'doors' },
];

/** How the person and the model behind each client answer, unless an exercise says otherwise. */
export function answer(method, params) {
  if (method === 'roots/list') return { roots: ROOTS };
  if (method === 'sampling/createMessage') {
    const asked = [params.messages[0].content].flat()[0].text;
    return { model: 'parrot-1', role: 'assistant', content: { type: 'text', text: `you said: ${asked}` }, stopReason: 'endTurn' };
  }
  if (params.mode === 'url') return { action: 'accept' };
  return { action: 'accept', content: 'colour' in params.requestedSchema.properties ? { colour: 'blue' } : { name: 'Ada' } };
}

/** In this order: the first ones are what the others build on. */
export const EXERCISES = {
  async echo({ client, prefix }) {
    const names = (await client.tools()).map(({ name }) => name);
    assert.ok(names.includes(`${prefix}echo`), names.join(' '));
    const message = 'Ærlig talt: ☃ "quoted" \\ and 𝔘nicode';
    assert.equal(said(await client.call(`${prefix}echo`, { message })), message);
  },

  async elicit({ client, prefix }) {
    const [result, asked] = await asking(client, () => client.call(`${prefix}elicit`, {}));
    assert.equal(said(result), 'hello Ada');
    assert.deepEqual(asked.map(({ method }) => method), ['elicitation/create']);
    assert.equal(asked[0].params.message, NAME.message);
    assert.deepEqual(asked[0].params.requestedSchema, NAME.requestedSchema);
    assert.ok([undefined, 'form'].includes(asked[0].params.mode));
  },

  async 'two questions'({ client, prefix }) {
    const [result, asked] = await asking(client, () => client.call(`${prefix}two_questions`, {}));
    assert.equal(said(result), 'Ada likes blue');
    assert.deepEqual(asked.map(({ params }) => params.message), [NAME.message, COLOUR.message]);
  },

  async 'questions at once'({ client, prefix }) {
    const [result, asked] = await asking(client, () => client.call(`${prefix}at_once`, {}));
    assert.equal(said(result), 'Ada: you said: Who is there?');
    assert.deepEqual(asked.map(({ method }) => method).sort(), ['elicitation/create', 'sampling/createMessage']);
  },

  async elicit_url({ client, prefix, clientEra, serverEra }) {
    const [result, asked] = await asking(client, () => client.call(`${prefix}elicit_url`, {}));
    assert.equal(said(result), 'page: accept');
    assert.equal(asked.length, 1);
    const { params } = asked[0];
    assert.equal(params.mode, 'url');
    assert.equal(params.url, PAGE);
    // The identifier and the word that all is done exist in the legacy era only.
    if (clientEra === 'legacy') assert.equal(typeof params.elicitationId, 'string');
    // The word is a legacy server's to give; SDK 2.x does not give it when it asks a legacy client for a handler of both eras.
    if (clientEra === 'legacy' && serverEra === 'legacy') {
      await until('told that the visit is over', () => client.seen.completed.includes(params.elicitationId));
    }
  },

  async sample({ client, prefix }) {
    const [result, asked] = await asking(client, () => client.call(`${prefix}sample`, { prompt: 'Polly?' }));
    assert.equal(said(result), 'you said: Polly?');
    assert.deepEqual(asked.map(({ method }) => method), ['sampling/createMessage']);
    assert.equal(asked[0].params.maxTokens, 50);
    assert.equal(asked[0].params.temperature, 0.5);
  },

  async roots({ client, prefix }) {
    const [result, asked] = await asking(client, () => client.call(`${prefix}roots`, {}), { roots: true });
    assert.equal(said(result), ROOTS.map(({ name, uri }) => `${name} ${uri}`).join('\n'));
    assert.ok(asked.length > 0);
    assert.deepEqual([...new Set(asked.map(({ method }) => method))], ['roots/list']);
  },

  async 'prompt that asks'({ client, prefix }) {
    const [result, asked] = await asking(client, () => client.prompt(`${prefix}greet`));
    assert.equal(result.messages[0].content.text, 'hello Ada');
    assert.equal(asked.length, 1);
  },

  async progress({ client, prefix }) {
    const steps = [];
    const result = await client.call(`${prefix}slow`, { steps: 4, milliseconds: 20 }, { onprogress: (step) => steps.push(step) });
    assert.equal(said(result), '4 steps done');
    assert.deepEqual(
      steps.map(({ progress, total, message }) => ({ progress, total, message })),
      [1, 2, 3, 4].map((step) => ({ progress: step, total: 4, message: `step ${step}` })),
    );
  },

  async 'progress and a question'({ client, prefix }) {
    const steps = [];
    const [result, asked] = await asking(client, () => client.call(`${prefix}ask_while_working`, {}, { onprogress: (step) => steps.push(step) }));
    assert.equal(said(result), 'hello Ada');
    assert.equal(asked.length, 1);
    assert.deepEqual(ofTheServer(steps), [1, 2, 3]);
  },

  async cancel({ client, prefix }) {
    const count = async () => Number(said(await client.call(`${prefix}cancelled`, {})));
    const before = await count();
    const giveUp = new AbortController();
    const began = Date.now();
    const long = client.call(`${prefix}slow`, { steps: 100, milliseconds: 300 }, { signal: giveUp.signal, onprogress: () => giveUp.abort() });
    await assert.rejects(long);
    assert.ok(giveUp.signal.aborted, `ended before it was called off: ${await long.catch(String)}`);
    await until('the server has noticed', async () => (await count()) === before + 1);
    assert.ok(Date.now() - began < 20_000, 'it ended by itself');
    assert.equal(said(await client.call(`${prefix}echo`, { message: 'next' })), 'next');
  },

  async subscribe({ client, prefix, thing = 'era://thing' }) {
    const heard = client.seen.updated.length;
    const stop = await client.subscribe(thing);
    const before = await touches(client, thing);
    await client.call(`${prefix}touch`, {});
    await until('told that the thing was touched', () => client.seen.updated.length === heard + 1);
    assert.equal(client.seen.updated.at(-1), thing);
    assert.equal(await touches(client, thing), before + 1);
    await stop();
    await quiet();
    await client.call(`${prefix}touch`, {});
    await quiet();
    assert.equal(client.seen.updated.length, heard + 1, 'still told after the subscription ended');
  },

  async 'list change'({ client, prefix }) {
    const isThere = async () => (await client.tools()).some(({ name }) => name === `${prefix}grown`);
    const before = await isThere();
    const stop = await client.watchTools();
    const heard = client.seen.changes;
    await client.call(`${prefix}grow`, {});
    await until('told that the tools changed', () => client.seen.changes > heard);
    assert.equal(await isThere(), !before, 'the list after the change was told');
    await client.call(`${prefix}grow`, {});
    await until('as before', async () => (await isThere()) === before);
    await stop();
  },

  async log({ client, prefix, clientEra }) {
    const log = (level, message) => client.call(`${prefix}log`, { level, message });
    if (clientEra === 'modern') {
      await log('error', 'nobody asked');
      await quiet();
      assert.deepEqual(client.seen.logs, [], 'told without having asked');
    }
    await client.wantLogs('warning');
    await log('info', 'too small');
    await log('error', 'loud');
    await until('told', () => client.seen.logs.length > 0);
    await quiet();
    assert.deepEqual(client.seen.logs.map(({ level, logger, data }) => ({ level, logger, data })), [{ level: 'error', logger: 'era', data: 'loud' }]);
  },
};

/** With a client that can be asked for nothing: an error in time, in words of the protocol, and the next call works. */
export async function askingInVain({ client, prefix }) {
  for (const [tool, args] of [['elicit', {}], ['sample', { prompt: 'Polly?' }], ['roots', {}]]) {
    const result = await client.call(prefix + tool, args).catch((error) => ({ isError: true, content: [{ type: 'text', text: String(error) }] }));
    assert.ok(result.isError ?? result.is_error, `${tool}: ${JSON.stringify(result)}`);
    assert.doesNotMatch(said(result), /timed? ?out/i, tool);
  }
  assert.deepEqual(client.seen.asked, []);
  assert.equal(said(await client.call(`${prefix}echo`, { message: 'still here' })), 'still here');
}

export function said(result) {
  const part = result.content?.find(({ type }) => type === 'text');
  assert.ok(part, `no text in ${JSON.stringify(result)}`);
  return part.text;
}

/** TypeScript's SDK 2.x tells of progress of its own when it comes back with an answer; that has no message. */
export function ofTheServer(steps) {
  return steps.filter(({ message }) => /^step \d+$/.test(message)).map(({ progress }) => progress);
}

async function touches(client, thing) {
  return Number(/\d+/.exec((await client.read(thing)).contents[0].text)[0]);
}

/**
 * What `act` gives, and what the client was asked meanwhile. Servers may ask for the roots whenever they have started (server-everything does),
 * and on the merged endpoint all of them start: that is counted only where it is what the exercise is about.
 */
export async function asking(client, act, { roots = false } = {}) {
  const before = client.seen.asked.length;
  const result = await act();
  return [result, client.seen.asked.slice(before).filter(({ method }) => roots || method !== 'roots/list')];
}

export async function until(what, condition) {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`not in 5 seconds: ${what}`);
}

/** Long enough for something that should not come to have come. */
export function quiet() {
  return new Promise((resolve) => setTimeout(resolve, 150));
}
