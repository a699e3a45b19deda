// Excuses excuse what they name and nothing beside it, and do not outlive their reason.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { scratch } from '../interop/processes.mjs';
import { Excuses } from './excuses.mjs';

const folder = scratch('excuses');
const stdio = { revision: '2026-07-28', server: 'ts-legacy', transport: 'stdio' };
const http = { ...stdio, transport: 'http' };
const problems = [
  { check: 'one', message: 'broken' },
  { check: 'two', message: 'broken' },
];

function excuses(...entries) {
  const file = path.join(folder, 'entries.json');
  fs.writeFileSync(file, JSON.stringify(entries));
  return new Excuses(file);
}

const entry = { revision: '2026-07-28', servers: ['ts-legacy'], scenario: 'caching', checks: ['one', 'two'], reason: 'there is none' };

test('the checks that are named are excused, on every transport or on one', () => {
  assert.deepEqual(excuses(entry).apply(stdio, 'caching', problems), { excused: problems, open: [] });
  const more = [...problems, { check: 'three', message: 'broken' }];
  assert.deepEqual(excuses(entry).apply(stdio, 'caching', more).open, [more[2]], 'another check of the same scenario');
  assert.deepEqual(excuses({ ...entry, checks: ['two'] }).apply(stdio, 'caching', problems), { excused: [problems[1]], open: [problems[0]] });
  assert.deepEqual(excuses({ ...entry, transport: 'http' }).apply(stdio, 'caching', problems).open, problems);
});

test('another scenario, server or revision is not', () => {
  assert.deepEqual(excuses(entry).apply(stdio, 'ping', problems).open, problems);
  assert.deepEqual(excuses(entry).apply({ ...stdio, server: 'ts-both' }, 'caching', problems).open, problems);
  assert.deepEqual(excuses(entry).apply({ ...stdio, revision: '2025-11-25' }, 'caching', problems).open, problems);
});

test('an entry is stale once something it excuses passes, or nobody asks about it', () => {
  const whole = excuses(entry);
  whole.apply(stdio, 'caching', problems);
  assert.deepEqual(whole.stale(), []);
  whole.apply(http, 'caching', []);
  assert.deepEqual(whole.stale(), ['caching (2026-07-28 at ts-legacy): passes now at ts-legacy http: one, ts-legacy http: two']);

  const part = excuses({ ...entry, checks: ['one', 'three'] });
  part.apply(stdio, 'caching', problems);
  assert.deepEqual(part.stale(), ['caching (2026-07-28 at ts-legacy): passes now at ts-legacy stdio: three']);

  assert.deepEqual(excuses(entry).stale(), ['caching (2026-07-28 at ts-legacy): there is no such place or scenario']);
});

test('an entry for two servers is stale once one of them does not need it', () => {
  const both = () => excuses({ ...entry, servers: ['ts-legacy', 'rmcp-legacy'] });
  const needed = both();
  needed.apply(stdio, 'caching', problems);
  assert.deepEqual(needed.stale(), ['caching (2026-07-28 at rmcp-legacy): there is no such place or scenario']);
  assert.deepEqual(needed.apply({ ...stdio, server: 'rmcp-legacy' }, 'caching', problems).open, []);
  assert.deepEqual(needed.stale(), []);

  const half = both();
  half.apply(stdio, 'caching', problems);
  half.apply({ ...stdio, server: 'rmcp-legacy' }, 'caching', []);
  assert.deepEqual(half.stale(), ['caching (2026-07-28 at rmcp-legacy): passes now at rmcp-legacy stdio: one, rmcp-legacy stdio: two']);
});

test('an entry for a whole scenario is refused', () => {
  for (const checks of [undefined, [], [''], 'one', null]) assert.throws(() => excuses({ ...entry, checks }), /checks/);
});

test('an entry without a reason, or with a key that means nothing, is refused', () => {
  assert.throws(() => excuses({ ...entry, reason: '' }), /reason/);
  assert.throws(() => excuses({ ...entry, servers: [] }), /servers/);
  assert.throws(() => excuses({ ...entry, transports: ['http'] }), /nothing but/);
});
