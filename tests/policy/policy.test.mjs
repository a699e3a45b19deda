// Two people of different groups, official clients of both eras, every route: each sees what the rules allow, each forbidden call is
// refused, and the audit trail has each refusal and no other. Prints `rows passed / rows listed`; run by `./test policy`. The rules are
// in rules.mjs; what rules come to in every combination is tested in crates/core, and what nodes do, in crates/gateway.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { CLIENTS, REVISION } from '../eras/clients/clients.mjs';
import { PEOPLE, ROUTES } from './rules.mjs';
import { Setup, eventually } from './setup.mjs';

const NAMES = ['TypeScript 1.x', 'TypeScript 2.x, legacy', 'TypeScript 2.x, modern, pinned', 'Python, legacy', 'Python, modern, pinned'];
/** How many rows there are: none goes missing without being seen. */
const LISTED = NAMES.length * Object.keys(PEOPLE).length * ROUTES.length * 10 + 21;

const setup = new Setup('policy');
const rows = new Map();
/** What the audit trail has to say, counted. */
const expected = new Map();

before(() => setup.start(), { timeout: 120_000 });

after(async () => {
  const passed = [...rows.values()].filter((outcome) => outcome === 'passed').length;
  for (const [row, outcome] of rows) if (outcome !== 'passed') console.log(`${outcome}: ${row}`);
  console.log(`policy matrix: ${passed} rows passed / ${LISTED} rows listed`);
  await setup.stop();
  assert.equal(rows.size, LISTED, 'rows that are listed');
});

/** Listed at once, run later, so that what never ran can be seen. */
function row(name, run) {
  assert.ok(!rows.has(name), `twice: ${name}`);
  rows.set(name, 'not run');
  test(name, { timeout: 60_000 }, async () => {
    rows.set(name, 'FAILED');
    await run();
    rows.set(name, 'passed');
  });
}

/** A refusal is to be recorded. `about` is the member that says of what. */
function recorded(person, text) {
  const key = `${PEOPLE[person].email} ${text}`;
  expected.set(key, (expected.get(key) ?? 0) + 1);
}

/** Of any client: refused by the gateway as what is not there, and not by the client itself. */
async function refused(asked) {
  try {
    await asked();
  } catch (error) {
    const code = error.code ?? error.message.match(/-32\d{3}/)?.[0];
    assert.ok([-32602, -32002].includes(Number(code)), String(error));
    return;
  }
  assert.fail('it was answered');
}

const named = (list) => list.map(({ name, uri }) => name ?? uri).sort();

for (const client of CLIENTS.filter(({ name }) => NAMES.includes(name))) {
  for (const person of Object.keys(PEOPLE)) {
    for (const route of ROUTES) meet(client, person, route);
  }
}

function meet(client, person, { path, prefix }) {
  const { tools, prompts, resources, own, denied, books } = PEOPLE[person];
  const merged = prefix !== '';
  describe(`${client.name}, ${person} at ${path}`, () => {
    const one = (what, run) => row(`${client.name}, ${person} at ${path}: ${what}`, run);
    let mcp;
    before(async () => {
      mcp = await client.connect(await setup.where(path, person), { answer: async () => ({}), log: setup.log });
      if (mcp.protocol !== undefined) assert.equal(mcp.protocol, REVISION[client.era]);
    });
    after(() => mcp?.close());

    // At `/mcp`, those of `books` stand beside them.
    const ofWorks = (names) => names.filter((name) => name.startsWith(prefix) && !name.startsWith('books_'));
    one('tools', async () => {
      const seen = named(await mcp.tools());
      assert.deepEqual(ofWorks(seen), tools.map((name) => prefix + name).sort());
      assert.equal(seen.includes('books_echo'), merged && books);
      assert.ok(!seen.includes('books_add'), 'nobody adds');
    });
    one('prompts', async () => assert.deepEqual(ofWorks(named(await mcp.prompts())), prompts.map((name) => prefix + name)));
    one('resources', async () => {
      const uris = (await mcp.resources()).map(({ uri }) => uri).filter((uri) => uri.startsWith('test://'));
      assert.deepEqual(uris, resources);
    });
    one('own tool', async () => assert.ok((await mcp.call(prefix + own.tool[0], own.tool[1])).content.length > 0));
    one('own prompt and resource', async () => {
      assert.ok((await mcp.prompt(prefix + own.prompt[0], own.prompt[1])).messages.length > 0);
      assert.ok((await mcp.read(own.resource)).contents.length > 0);
    });
    one('forbidden tool', async () => {
      recorded(person, `call tool works ${denied.tool}`);
      await refused(() => mcp.call(prefix + denied.tool, {}));
    });
    one('forbidden prompt', async () => {
      recorded(person, `call prompt works ${denied.prompt}`);
      await refused(() => mcp.prompt(prefix + denied.prompt, { arg1: 'a', arg2: 'b' }));
    });
    one('forbidden resource', async () => {
      recorded(person, `call resource ${merged ? '' : 'works '}${denied.resource}`);
      await refused(() => mcp.read(denied.resource));
    });
    one('completion of a forbidden prompt', async () => {
      recorded(person, `refused works ${denied.prompt}`);
      await refused(() => mcp.complete({ type: 'ref/prompt', name: prefix + denied.prompt }, { name: 'arg1', value: 'a' }));
    });
    one('subscription to a forbidden resource', async () => {
      recorded(person, `refused ${merged ? '' : 'works '}${denied.resource}`);
      if (client.era === 'legacy') await refused(() => mcp.subscribe(denied.resource));
      // A stream is opened, and says what it does not carry.
      else await assert.rejects(mcp.subscribe(denied.resource), /honoured/);
    });
  });
}

describe('what no client asks', () => {
  const isRefused = ({ message }, code) => assert.equal(message?.error?.code, code, JSON.stringify(message));

  for (const person of Object.keys(PEOPLE)) {
    const { denied, books, proxy } = PEOPLE[person];
    for (const { path, prefix } of ROUTES) {
      row(`${person} at ${path}: another spelling of a forbidden tool`, async () => {
        const spelt = prefix + denied.tool[0].toUpperCase() + denied.tool.slice(1);
        // By its name alone it is no tool that a rule speaks of: a rule that allows by name refuses it.
        recorded(person, `call tool works ${spelt.slice(prefix.length)}`);
        isRefused(await setup.ask(path, person, 'tools/call', { name: spelt, arguments: {} }), -32602);
      });
    }
    row(`${person}: a method in another spelling`, async () => {
      for (const method of ['Tools/Call', 'TASKS/get', 'prompts/Get']) {
        isRefused(await setup.ask('/mcp/works', person, method, { name: denied.tool }), -32601);
      }
    });
    row(`${person}: a server is there or not, by its address`, async () => {
      const { status } = await setup.ask('/mcp/books', person, 'tools/list');
      assert.equal(status, books ? 200 : 404);
      if (!books) recorded(person, `refused ${setup.resources.get('/mcp/books')}`);
    });
    row(`${person}: a server is there or not, by its name`, async () => {
      const { status } = await setup.ask('/mcp?server_name=books', person, 'tools/list');
      assert.equal(status, books ? 200 : 404);
      if (!books) recorded(person, 'refused books');
    });
    row(`${person}: the proxied path`, async () => {
      const { status } = await setup.get('/mcp/legacy/mcp', person);
      assert.equal(status === 404, !proxy, `${status}`);
      if (!proxy) recorded(person, `refused ${setup.resources.get('/mcp/legacy/mcp')}`);
    });
    row(`${person}: GET /tools`, async () => {
      const { url, token } = await setup.where('/mcp', person);
      const answer = await fetch(url.replace(/\/mcp$/, '/tools'), { headers: { authorization: `Bearer ${token}` } });
      const names = named((await answer.json()).tools);
      assert.ok(!names.includes(`works_${denied.tool}`) && !names.includes('books_add'));
      assert.equal(names.includes('books_echo'), books);
    });
  }

  row('what is denied to everybody has no other spelling', async () => {
    for (const name of ['add', 'Add', 'ADD', 'add ', '\uff41dd']) {
      isRefused(await setup.ask('/mcp/books', 'bob', 'tools/call', { name, arguments: { a: 1, b: 2 } }), -32602);
    }
    recorded('bob', 'call tool books add');
  });

  let task;
  row('a task is its maker\'s', async () => {
    const made = await setup.ask('/mcp/works', 'alice', 'tools/call', { name: 'slow_compute', arguments: { seconds: 1 } });
    task = made.message?.result?.taskId;
    assert.ok(task, JSON.stringify(made.message));
    const followed = await setup.ask('/mcp/works', 'alice', 'tasks/get', { taskId: task });
    assert.equal(followed.message?.result?.taskId, task, JSON.stringify(followed.message));
    for (const path of ['/mcp', '/mcp/works']) isRefused(await setup.ask(path, 'bob', 'tasks/get', { taskId: task }), -32602);
  });

  row('a tool that is denied from now on is gone, and so are its tasks', async () => {
    setup.deny(['slow_compute']);
    await eventually('the new rules', async () => {
      const { message } = await setup.ask('/mcp/works', 'alice', 'tools/list');
      return !named(message.result.tools).includes('slow_compute');
    });
    for (const path of ['/mcp', '/mcp/works']) {
      for (const method of ['tasks/get', 'tasks/cancel']) {
        isRefused(await setup.ask(path, 'alice', method, { taskId: task }), -32602);
        // With its token for the other address, the same person is another client, whose task it never was.
        if (path === '/mcp/works') recorded('alice', 'refused works slow_compute');
      }
    }
    recorded('alice', 'call tool works slow_compute');
    isRefused(await setup.ask('/mcp/works', 'alice', 'tools/call', { name: 'slow_compute', arguments: {} }), -32602);
  });
});

describe('the audit trail', () => {
  for (const person of Object.keys(PEOPLE)) {
    row(`${person}: each refusal is recorded, and nothing else is recorded as one`, async () => {
      const { email } = PEOPLE[person];
      const wanted = [...expected].filter(([key]) => key.startsWith(`${email} `)).sort();
      const found = () => {
        const counts = new Map();
        for (const record of setup.audit().filter((one) => one.email === email && (one.outcome ?? one.reason) === 'policy_refused')) {
          const { event, kind, server, name, about } = record;
          const key = event === 'call' ? `${email} call ${kind} ${server ? `${server} ` : ''}${name}` : `${email} refused ${about}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
        return [...counts].sort();
      };
      // They are written in batches, a moment later.
      let last;
      await eventually('every record', () => {
        last = found();
        return JSON.stringify(last) === JSON.stringify(wanted);
      }, 40).catch(() => assert.deepEqual(last, wanted));
    });
  }
});
