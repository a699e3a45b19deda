// Several clients at one server at the same time: a question goes to the client whose call needs the answer, and to no other; so do
// progress and log messages. One client at a time is next door, in eras.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { CLIENTS } from './clients/clients.mjs';
import { answer, asking, ofTheServer, said, until } from './exercises.mjs';
import { APART, FIXTURES, speaks } from './fixtures.mjs';
import { Setup } from './setup.mjs';

const setup = new Setup('together');
const [typescript] = CLIENTS;
const both = ['TypeScript 2.x, legacy', 'TypeScript 2.x, modern, pinned'].map((name) => CLIENTS.find((client) => client.name === name));
const PATIENCE = { timeout: 60_000 };

before(() => setup.start(), { timeout: 120_000 });
after(() => setup.stop());

/**
 * Where they meet. A legacy server's question does not say which call it is about, unless it comes on that call's own stream. The gateway never
 * guesses: each client, each session and each of several calls that run side by side has a connection of its own where it must.
 */
const PLACES = [
  ...FIXTURES.filter(({ transport }) => transport === 'http').map((fixture) => ({
    fixture,
    name: `${fixture.name}, face to face`,
    where: () => setup.directly(fixture),
  })),
  ...FIXTURES.map((fixture) => ({
    fixture,
    name: fixture.name,
    behind: true,
    where: (person) => setup.throughGateway(`/mcp/${fixture.name}`, person),
  })),
  {
    fixture: APART,
    name: APART.name,
    behind: true,
    // A modern client has no session: what has signed in by itself is a client of its own.
    where: (person, name) => setup.throughGateway(`/mcp/${APART.name}`, person, name),
  },
];

/** Clients of each era that can be met at this place, of the same person and of another one, each with a name to give. */
async function company({ fixture, behind, where }) {
  const who = [
    [typescript, 'alice', 'Ada'],
    [both[0], 'alice', 'Bea'],
    [both[1], 'alice', 'Cid'],
    [both[1], 'alice', 'Dot'],
    [both[0], 'bob', 'Eve'],
    [both[1], 'bob', 'Fay'],
  ];
  return Promise.all(
    who
      .filter(([client]) => behind || speaks(fixture, client.era))
      .map(async ([client, person, name]) => {
        const connected = await client.connect(await where(person, name), { answer: answering(name), log: setup.log });
        return { ...connected, era: client.era, person, name };
      }),
  );
}

/** After a while, so that all are asked before the first one answers. */
function answering(name) {
  return async (method, params) => {
    await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 200));
    if (method === 'sampling/createMessage') return { model: name, role: 'assistant', content: { type: 'text', text: `${name} was asked` } };
    if (method === 'roots/list') return { roots: [{ uri: `file:///rooms/${name}`, name }] };
    return params.requestedSchema && 'name' in params.requestedSchema.properties ? { action: 'accept', content: { name } } : answer(method, params);
  };
}

/** With all clients connected; whatever comes of it, none is left behind to answer for others. */
async function together(place, act) {
  const clients = await company(place);
  try {
    await act(clients);
  } finally {
    await Promise.allSettled(clients.map((client) => client.close()));
  }
}

/** As `Promise.all`, but none is still under way when the first failure is told of. */
async function all(promises) {
  const outcomes = await Promise.allSettled(promises);
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
  return outcomes.map(({ value }) => value);
}

/** Places on stdio and places on HTTP side by side; one after the other among themselves, since some of what happens there is counted. */
function byTransport(what, meetAt) {
  describe(what, { concurrency: true }, () => {
    for (const transport of ['stdio', 'http']) {
      const places = PLACES.filter(({ fixture }) => fixture.transport === transport);
      describe(transport, { concurrency: 1 }, () => places.forEach(meetAt));
    }
  });
}

byTransport('each client is asked its own questions', (place) => {
  test(place.name, PATIENCE, () =>
    together(place, async (clients) => {
      await all(
        clients.map(async (client) => {
          const own = client.name;
          for (let turn = 0; turn < 3; turn += 1) {
            const [elicited, questions] = await asking(client, () => client.call('elicit', {}));
            assert.match(said(elicited), new RegExp(`^hello ${own}$`), client.name);
            assert.equal(questions.length, 1, `${client.name} was asked ${questions.length} times`);
            assert.match(said(await client.call('two_questions', {})), new RegExp(`^${own} likes blue$`), client.name);
            assert.match(said(await client.call('sample', { prompt: 'Who?' })), new RegExp(`^${own} was asked$`), client.name);
            assert.match(said(await client.call('roots', {})), new RegExp(`^${own} file:///rooms/${own}$`), client.name);
          }
        }),
      );
    }),
  );
});

byTransport('one client with several calls at once', (place) => {
  for (const client of both.filter(({ era }) => place.behind || speaks(place.fixture, era))) {
    test(`${client.name} and ${place.name}`, PATIENCE, async () => {
      const connected = await client.connect(await place.where('alice'), { answer, log: setup.log });
      const steps = [];
      const [greetings, slow, sampled] = await Promise.all([
        Promise.all(Array.from({ length: 5 }, async () => said(await connected.call('elicit', {})))),
        connected.call('slow', { steps: 5, milliseconds: 50 }, { onprogress: (step) => steps.push(step) }),
        Promise.all(['red', 'green', 'blue'].map(async (prompt) => said(await connected.call('sample', { prompt })))),
      ]);
      assert.deepEqual(greetings, Array(5).fill('hello Ada'));
      assert.equal(said(slow), '5 steps done');
      assert.deepEqual(ofTheServer(steps), [1, 2, 3, 4, 5]);
      assert.deepEqual(sampled, ['red', 'green', 'blue'].map((prompt) => `you said: ${prompt}`));
      await connected.close();
    });
  }
});

byTransport('what is told reaches whom it concerns', (place) => {
  test(`progress and cancellation, ${place.name}`, PATIENCE, () => together(place, async (clients) => {
    const giveUp = new AbortController();
    const [calledOff, ...others] = clients;
    const before = Number(said(await calledOff.call('cancelled', {})));
    await all([
      assert.rejects(calledOff.call('slow', { steps: 100, milliseconds: 100 }, { signal: giveUp.signal, onprogress: () => giveUp.abort() })),
      ...others.map(async (client, index) => {
        const steps = [];
        const count = 4 + index;
        const done = await client.call('slow', { steps: count, milliseconds: 50 }, { onprogress: (step) => steps.push(step.progress) });
        assert.equal(said(done), `${count} steps done`);
        assert.deepEqual(steps, Array.from({ length: count }, (_, step) => step + 1), client.name);
      }),
    ]);
    // One call was called off, and no other: it is counted where it ran.
    await until('the server has noticed', async () => Number(said(await calledOff.call('cancelled', {}))) === before + 1);
  }));

  test(`updates, ${place.name}`, PATIENCE, () => together(place, async (clients) => {
    const { thing, transport } = place.fixture;
    const [first] = clients;
    const watching = clients.filter((_, index) => index % 2 === 0);
    const stops = await Promise.all(watching.map((client) => client.subscribe(thing)));
    // Over HTTP there is one thing for all. A child process has its own; it belongs to one person, or to one of the person's clients.
    const must = watching.filter((client) => transport === 'http' || client === first);
    const may = watching.filter(({ person }) => transport === 'http' || person === first.person);
    const told = async (times, whom) => {
      await first.call('touch', {});
      await until('told', () => whom.every(({ seen }) => seen.updated.length === times));
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const { seen, name, person, era } of clients) {
        assert.ok(seen.updated.every((uri) => uri === thing), seen.updated.join(' '));
        assert.ok(seen.updated.length <= times, `${name} (${era}, of ${person}) was told more often than it happened`);
      }
    };
    await told(1, must);
    for (const client of clients.filter((one) => !may.includes(one))) assert.deepEqual(client.seen.updated, [], `${client.name} (${client.era}, of ${client.person})`);
    // When one stops listening, the others still hear.
    await stops[0]();
    await new Promise((resolve) => setTimeout(resolve, 200));
    await told(2, must.slice(1));
    assert.equal(first.seen.updated.length, 1, 'told after it stopped listening');
  }));
});

describe('afterwards', () => {
  test('the gateway and the identity provider had nothing to complain about', () => setup.assertUnharmed());
});
