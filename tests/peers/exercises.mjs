// What is done with the servers of go/, java/ and python/, which all offer the same. Each exercise either fails or answers with what it
// saw, which must be the same whether the gateway stands between or not. Those for server-everything are in everything.mjs.
import assert from 'node:assert/strict';

import { ROOTS, asking, ofTheServer, quiet, said } from '../eras/exercises.mjs';

/** What an error was, or what was answered in its place. */
export async function refusal(act) {
  try {
    return { answered: await act() };
  } catch (error) {
    return { code: error.code, message: error.message, data: error.data };
  }
}

function byName(listed) {
  return listed.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

export const EXERCISES = {
  async tools({ client }) {
    const listed = byName(await client.tools());
    for (const name of ['echo', 'sum', 'slow']) assert.ok(listed.some((tool) => tool.name === name), name);
    return listed;
  },

  async text({ client }) {
    const message = 'Ærlig talt: ☃ "quoted" \\ and 𝔘nicode';
    const result = await client.call('echo', { message });
    assert.equal(said(result), message);
    return result;
  },

  async 'structured result'({ client }) {
    const result = await client.call('sum', { a: 2, b: 40 });
    assert.equal(result.structuredContent.sum, 42);
    return result;
  },

  async 'every kind of content'({ client }) {
    const result = await client.call('parts', {});
    assert.deepEqual(result.content.map(({ type }) => type), ['text', 'image', 'audio', 'resource_link', 'resource']);
    return result;
  },

  async 'tool error'({ client }) {
    const result = await client.call('fail', {});
    assert.equal(result.isError, true);
    assert.match(said(result), /the kettle is empty/);
    return result;
  },

  async 'error of the server'({ client }) {
    const saw = await refusal(() => client.call('refuse', {}));
    assert.match(JSON.stringify(saw), /no tea today/);
    return saw;
  },

  async 'unknown tool'({ client }) {
    const saw = await refusal(() => client.call('no-such-tool', {}));
    assert.ok(saw.message || saw.answered.isError, JSON.stringify(saw));
    return saw;
  },

  async 'wrong arguments'({ client }) {
    const saw = [await refusal(() => client.call('sum', { a: 'two', b: 40 })), await refusal(() => client.call('sum', {}))];
    for (const one of saw) assert.ok(one.message || one.answered.isError, JSON.stringify(one));
    return saw;
  },

  async sampling({ client }) {
    const [result, asked] = await asking(client, () => client.call('sample', { prompt: 'Polly?' }));
    assert.equal(said(result), 'you said: Polly?');
    assert.equal(asked.length, 1);
    return asked;
  },

  async elicitation({ client }) {
    const [result, asked] = await asking(client, () => client.call('elicit', {}));
    assert.equal(said(result), 'hello Ada');
    return asked.map(plainMode);
  },

  async 'elicitation by URL'({ client }) {
    const [result, asked] = await asking(client, () => client.call('elicit_url', {}));
    assert.equal(said(result), 'page: accept');
    assert.equal(asked[0].params.url, 'https://example.com/sign-here');
    // The identifier is the gateway's own where it has to tell the visits of several servers apart.
    return asked.map(({ method, params: { elicitationId, ...params } }) => ({ method, params, identified: Boolean(elicitationId) }));
  },

  async roots({ client }) {
    // In whichever order the client keeps them.
    const listed = said(await client.call('roots', {})).split('\n').toSorted();
    assert.deepEqual(listed, ROOTS.map(({ name, uri }) => `${name} ${uri}`).toSorted());
  },

  async resources({ client, thing }) {
    const listed = [byName(await client.resources()), byName(await client.templates())];
    const saw = [...listed, await client.read(thing), await client.read(`${thing}/numbers/7`)];
    assert.match(saw[2].contents[0].text, /^touched \d+ times$/);
    assert.equal(saw[3].contents[0].text, 'number 7');
    saw[2].contents[0].text = 'touched';
    return saw;
  },

  async 'unknown resource'({ client }) {
    const saw = await refusal(() => client.read('peer://nowhere'));
    assert.ok(saw.message, JSON.stringify(saw));
    return saw;
  },

  async 'resource updates'({ client, thing, until }) {
    const heard = client.seen.updated.length;
    const stop = await client.subscribe(thing);
    // Some clients say that they have subscribed before the server knows.
    await until('told that the thing was touched', async () => {
      await client.call('touch', {});
      await quiet();
      return client.seen.updated.length > heard;
    });
    await stop();
    const told = [...new Set(client.seen.updated.slice(heard))];
    assert.deepEqual(told, [thing]);
    return told;
  },

  async prompts({ client }) {
    const saw = [byName(await client.prompts()), await client.prompt('greet', { name: 'Ada' })];
    assert.equal(saw[1].messages[0].content.text, 'hello Ada');
    return saw;
  },

  async 'unknown prompt'({ client }) {
    const saw = await refusal(() => client.prompt('no-such-prompt', {}));
    assert.ok(saw.message, JSON.stringify(saw));
    return saw;
  },

  async completion({ client }) {
    const saw = await client.complete({ type: 'ref/prompt', name: 'greet' }, { name: 'name', value: 'A' });
    assert.deepEqual(saw.values, ['Ada', 'Alan']);
    return saw;
  },

  async logging({ client, until }) {
    await client.wantLogs('warning');
    await client.call('log', { level: 'error', message: 'loud' });
    await until('told', () => client.seen.logs.some(({ data }) => isLoud(data)));
    await quiet();
    // What is too small for the level that was asked for the gateway holds back even where the server does not.
    return client.seen.logs.filter(({ data }) => isLoud(data)).map(({ level, logger, data }) => ({ level, logger, data }));
  },

  async progress({ client }) {
    const steps = [];
    const result = await client.call('slow', { steps: 4, milliseconds: 30 }, { onprogress: (step) => steps.push(step) });
    assert.equal(said(result), '4 steps done');
    assert.deepEqual(ofTheServer(steps), [1, 2, 3, 4]);
    return steps.filter(({ message }) => message).map(({ progress, total, message }) => ({ progress, total, message }));
  },

  async cancellation({ client, until }) {
    const count = async () => Number(said(await client.call('cancelled', {})));
    const before = await count();
    const giveUp = new AbortController();
    const long = client.call('slow', { steps: 20, milliseconds: 100 }, { signal: giveUp.signal, onprogress: () => giveUp.abort() });
    // What became of it the server tells.
    const ended = long.then(() => 'answered', () => 'called off');
    await until('the server has noticed', async () => (await count()) === before + 1);
    return ended;
  },
};

// FastMCP has the words in an object of its own.
function isLoud(data) {
  return JSON.stringify(data).includes('loud');
}

// A form that says that it is one and a form that does not are the same.
function plainMode({ method, params: { mode = 'form', ...params } }) {
  return { method, params: { mode, ...params } };
}
