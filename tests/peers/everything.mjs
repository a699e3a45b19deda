// What is done with server-everything, the reference server: the exercises of ../eras/everything.mjs, and those for what clients list,
// read and are refused. Those for the servers of this folder are in exercises.mjs.
import assert from 'node:assert/strict';

import { WITH_EVERYTHING } from '../eras/everything.mjs';
import { said } from '../eras/exercises.mjs';
import { refusal } from './exercises.mjs';

const DOCUMENT = 'demo://resource/static/document/features.md';

export const EVERYTHING = {
  async tools({ client }) {
    const names = (await client.tools()).map(({ name }) => name).toSorted();
    assert.ok(names.includes('get-structured-content'), names.join(' '));
    return names;
  },

  async 'structured result'({ client }) {
    const result = await client.call('get-structured-content', { location: 'Chicago' });
    assert.equal(typeof result.structuredContent.temperature, 'number');
    return result;
  },

  async 'every kind of content'({ client }) {
    const saw = [await client.call('get-tiny-image', {}), await client.call('get-resource-links', { count: 2 })];
    assert.deepEqual(saw[0].content.map(({ type }) => type), ['text', 'image', 'text']);
    return saw;
  },

  async 'wrong arguments'({ client }) {
    const saw = await refusal(() => client.call('get-sum', { a: 'two' }));
    assert.ok(saw.message || saw.answered.isError, JSON.stringify(saw));
    return saw;
  },

  async 'unknown tool'({ client }) {
    const saw = await refusal(() => client.call('no-such-tool', {}));
    assert.ok(saw.message || saw.answered.isError, JSON.stringify(saw));
    return saw;
  },

  async resources({ client }) {
    const uris = (await client.resources()).map(({ uri }) => uri).toSorted();
    assert.ok(uris.includes(DOCUMENT), uris.join(' '));
    const templates = (await client.templates()).map(({ uriTemplate }) => uriTemplate).toSorted();
    const made = await client.read('demo://resource/dynamic/text/7');
    assert.match(made.contents[0].text, /7/);
    return { uris, templates, document: await client.read(DOCUMENT) };
  },

  async 'unknown resource'({ client }) {
    const saw = await refusal(() => client.read('demo://nowhere'));
    assert.ok(saw.message, JSON.stringify(saw));
    return saw;
  },

  async prompts({ client }) {
    const names = (await client.prompts()).map(({ name }) => name).toSorted();
    const prompt = await client.prompt('args-prompt', { city: 'Bergen', state: 'Vestland' });
    assert.match(prompt.messages[0].content.text, /Bergen/);
    return { names, prompt };
  },

  async completion({ client }) {
    const saw = await client.complete({ type: 'ref/prompt', name: 'completable-prompt' }, { name: 'department', value: 'E' });
    assert.deepEqual(saw.values, ['Engineering']);
    return saw;
  },

  async logging({ client }) {
    await client.wantLogs('error');
    const result = await client.call('echo', { message: 'quietly' });
    return said(result);
  },

  ...WITH_EVERYTHING,
};
