// What every client must be able to do with server-everything, the reference server of the legacy era, which is not ours. It offers its
// asking tools to clients that can be asked and to no others, and asks for roots without a call. The exercises for our own servers are in
// exercises.mjs.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { ROOTS, asking as asked, said, until } from './exercises.mjs';

const DOCUMENT = 'demo://resource/static/document/features.md';
const PREREQUISITE = 'https://modelcontextprotocol.io';

// What a call was asked about. That the server wants to know the roots, some time after the handshake, is about none.
async function asking(client, call) {
  const [result, all] = await asked(client, call);
  return [result, all.filter(({ method }) => method !== 'roots/list')];
}

export const WITH_EVERYTHING = {
  async echo({ client }) {
    assert.equal(said(await client.call('echo', { message: 'hello' })), 'Echo: hello');
  },

  async elicit({ client }) {
    const [result, asked] = await asking(client, () => client.call('trigger-elicitation-request', {}));
    assert.match(result.content.map(({ text }) => text).join('\n'), /- Name: Ada$/m);
    assert.equal(asked.length, 1);
    assert.ok(Object.keys(asked[0].params.requestedSchema.properties).length > 10);
  },

  async elicit_url({ client }) {
    const url = `https://example.com/${randomUUID()}`;
    const [result, asked] = await asking(client, () => client.call('trigger-url-elicitation', { url }));
    assert.match(said(result), /completed/);
    assert.deepEqual(asked.map(({ params }) => params.url), [url]);
  },

  // The error that says which page to visit first exists in the legacy era only. A modern client is asked to visit it.
  async 'url required'({ client, clientEra }) {
    const url = `https://example.com/${randomUUID()}`;
    const call = () => client.call('trigger-url-elicitation', { url, errorPath: true });
    if (clientEra === 'legacy') {
      await assert.rejects(call, (error) => error.code === -32042 || /-32042/.test(String(error)));
      return;
    }
    const [result, asked] = await asking(client, call);
    assert.match(said(result), /completed/);
    assert.deepEqual(asked.map(({ params }) => params.url.replace(/\/$/, '')), [PREREQUISITE, url]);
  },

  async sample({ client }) {
    const [result, asked] = await asking(client, () => client.call('trigger-sampling-request', { prompt: 'Polly?', maxTokens: 12 }));
    assert.match(said(result), /you said: Resource trigger-sampling-request context: Polly\?/);
    assert.equal(asked.length, 1);
    assert.equal(asked[0].params.maxTokens, 12);
    assert.equal(asked[0].params.systemPrompt, 'You are a helpful test server.');
  },

  async roots({ client }) {
    const result = said(await client.call('get-roots-list', {}));
    for (const { name, uri } of ROOTS) assert.ok(result.includes(name) && result.includes(uri), result);
  },

  async progress({ client }) {
    const steps = [];
    const long = await client.call('trigger-long-running-operation', { duration: 0.5, steps: 5 }, { onprogress: (step) => steps.push(step) });
    assert.match(said(long), /completed/);
    // This server tells of the last step together with its answer, and some clients lose what comes together with an answer.
    assert.ok(steps.length >= 4, `told of ${steps.length} steps`);
    assert.deepEqual(steps.map(({ progress, total }) => ({ progress, total })), steps.map((_, index) => ({ progress: index + 1, total: 5 })));
  },

  async cancel({ client }) {
    const giveUp = new AbortController();
    const long = client.call('trigger-long-running-operation', { duration: 20, steps: 100 }, { signal: giveUp.signal, onprogress: () => giveUp.abort() });
    await assert.rejects(long);
    assert.equal(said(await client.call('echo', { message: 'next' })), 'Echo: next');
  },

  async subscribe({ client }) {
    const heard = client.seen.updated.length;
    const stop = await client.subscribe(DOCUMENT);
    await client.call('toggle-subscriber-updates', {});
    await until('told of an update', () => client.seen.updated.length > heard);
    assert.equal(client.seen.updated.at(-1), DOCUMENT);
    await client.call('toggle-subscriber-updates', {});
    await stop();
  },
};
