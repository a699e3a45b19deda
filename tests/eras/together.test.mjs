// Several clients at one server at the same time: a question goes to the client whose call needs the answer, and to no other; so do
// progress and log messages. One client at a time is next door, in eras.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { CLIENTS } from './clients/clients.mjs';
import { answer, asking, said, until } from './exercises.mjs';
import { FIXTURES } from './fixtures.mjs';
import { Stage } from './stage.mjs';

const stage = new Stage('together');
const [typescript] = CLIENTS;
const both = ['TypeScript 2.x, legacy', 'TypeScript 2.x, modern, pinned'].map((name) => CLIENTS.find((client) => client.name === name));
const PATIENCE = { timeout: 60_000 };

before(() => stage.start(), { timeout: 120_000 });
after(() => stage.stop());

/** Clients of each era, of the same person and of another one, each with a name to give. */
async function company(at) {
  const who = [
    [typescript, 'alice', 'Ada'],
    [both[0], 'alice', 'Bea'],
    [both[1], 'alice', 'Cid'],
    [both[1], 'alice', 'Dot'],
    [both[0], 'bob', 'Eve'],
    [both[1], 'bob', 'Fay'],
  ];
  return Promise.all(
    who.map(async ([client, person, name]) => {
      const connected = await client.connect(await stage.throughGateway(at, person), { answer: answering(name), log: stage.log });
      return { ...connected, era: client.era, person, name };
    }),
  );
}

/** After a while, so that all are asked before the first one answers. */
function answering(name) {
  return async (method, params) => {
    await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 200));
    if (method === 'sampling/createMessage') return { model: name, role: 'assistant', content: { type: 'text', text: `${name} was asked` } };
    if (method === 'roots/list') return { roots: [{ uri: `file:///home/of/${name}`, name }] };
    return params.requestedSchema && 'name' in params.requestedSchema.properties ? { action: 'accept', content: { name } } : answer(method, params);
  };
}

describe('each client is asked its own questions', () => {
  for (const fixture of FIXTURES) {
    test(fixture.name, PATIENCE, async () => {
      const clients = await company(`/mcp/${fixture.name}`);
      for (let turn = 0; turn < 3; turn += 1) {
        await Promise.all(
          clients.map(async (client) => {
            const [elicited, questions] = await asking(client, () => client.call('elicit', {}));
            assert.equal(said(elicited), `hello ${client.name}`);
            assert.equal(questions.length, 1, `${client.name} was asked ${questions.length} times`);
            assert.equal(said(await client.call('sample', { prompt: 'Who?' })), `${client.name} was asked`);
            assert.equal(said(await client.call('two_questions', {})), `${client.name} likes blue`);
            assert.equal(said(await client.call('roots', {})), `${client.name} file:///home/of/${client.name}`);
          }),
        );
      }
      await Promise.all(clients.map((client) => client.close()));
    });
  }
});

describe('one client with several calls at once', () => {
  for (const fixture of FIXTURES) {
    for (const client of both) {
      test(`${client.name} and ${fixture.name}`, PATIENCE, async () => {
        const connected = await client.connect(await stage.throughGateway(`/mcp/${fixture.name}`), { answer, log: stage.log });
        const steps = [];
        const [greetings, slow, sampled] = await Promise.all([
          Promise.all(Array.from({ length: 5 }, async () => said(await connected.call('elicit', {})))),
          connected.call('slow', { steps: 5, milliseconds: 50 }, { onprogress: ({ progress }) => steps.push(progress) }),
          Promise.all(['red', 'green', 'blue'].map(async (prompt) => said(await connected.call('sample', { prompt })))),
        ]);
        assert.deepEqual(greetings, Array(5).fill('hello Ada'));
        assert.equal(said(slow), '5 steps done');
        assert.deepEqual(steps, [1, 2, 3, 4, 5]);
        assert.deepEqual(sampled, ['red', 'green', 'blue'].map((prompt) => `you said: ${prompt}`));
        await connected.close();
      });
    }
  }
});

describe('what is told reaches whom it concerns', () => {
  for (const fixture of FIXTURES) {
    test(`progress and cancellation, ${fixture.name}`, PATIENCE, async () => {
      const clients = await company(`/mcp/${fixture.name}`);
      const giveUp = new AbortController();
      const [calledOff, ...others] = clients;
      const before = Number(said(await calledOff.call('cancelled', {})));
      await Promise.all([
        assert.rejects(calledOff.call('slow', { steps: 100, milliseconds: 100 }, { signal: giveUp.signal, onprogress: () => giveUp.abort() })),
        ...others.map(async (client, index) => {
          const steps = [];
          const count = 4 + index;
          const done = await client.call('slow', { steps: count, milliseconds: 50 }, { onprogress: (step) => steps.push(step.progress) });
          assert.equal(said(done), `${count} steps done`);
          assert.deepEqual(steps, Array.from({ length: count }, (_, step) => step + 1), client.name);
        }),
      ]);
      // One call was called off, and no other: where the clients have a process each, it is the one that was asked before.
      await until('the server has noticed', async () => Number(said(await calledOff.call('cancelled', {}))) === before + 1);
      await Promise.all(clients.map((client) => client.close()));
    });

    test(`updates, ${fixture.name}`, PATIENCE, async () => {
      const clients = await company(`/mcp/${fixture.name}`);
      const watching = clients.filter((_, index) => index % 2 === 0);
      const stops = await Promise.all(watching.map((client) => client.subscribe(fixture.thing)));
      for (const client of clients.filter(({ person }) => person === 'alice').slice(0, 1)) await client.call('touch', {});
      // Over HTTP the servers here have one thing for all; a child process has its own, and belongs to one person.
      const concerned = watching.filter(({ person }) => fixture.transport === 'http' || person === 'alice');
      await until('told', () => concerned.every(({ seen }) => seen.updated.length === 1));
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const client of clients) {
        assert.deepEqual(client.seen.updated, concerned.includes(client) ? [fixture.thing] : [], `${client.name} (${client.era}, of ${client.person})`);
      }
      // When one stops listening, the others still hear.
      await stops[0]();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await clients[0].call('touch', {});
      const still = concerned.slice(1);
      await until('told again', () => still.every(({ seen }) => seen.updated.length === 2));
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(clients[0].seen.updated.length, 1);
      await Promise.all(clients.map((client) => client.close()));
    });
  }
});

describe('afterwards', () => {
  test('the gateway and the identity provider had nothing to complain about', () => stage.assertUnharmed());
});
