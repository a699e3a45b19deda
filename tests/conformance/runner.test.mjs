// What a scenario's checks come to: a failure, a SHOULD that was not kept, one that was not looked at, and a scenario that looked at nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NOTHING_LOOKED_AT, outcome } from './runner.mjs';

const check = (id, status, errorMessage) => ({ id, status, errorMessage });
const named = (checks) => outcome({ checks }, 'no result').problems.map((problem) => problem.check);

test('what passed is no problem, and what did not is, by its check', () => {
  assert.deepEqual(named([check('one', 'SUCCESS'), check('two', 'INFO')]), []);
  assert.deepEqual(named([check('one', 'SUCCESS'), check('two', 'FAILURE', 'broken'), check('three', 'WARNING', 'should')]), ['two', 'three']);
  assert.deepEqual(named([check('one', 'SUCCESS'), check('two', 'SKIPPED', 'no tool')]), ['two']);
});

test('a scenario whose checks were all skipped has proved nothing', () => {
  for (const checks of [[], [check('one', 'SKIPPED', 'no tool')], [check('one', 'SKIPPED'), check('two', 'SKIPPED')]]) {
    const { looked, problems } = outcome({ checks }, 'no result');
    assert.equal(looked, false);
    assert.deepEqual(problems.map((problem) => problem.check), [NOTHING_LOOKED_AT]);
  }
});

test('a scenario without a result is a problem', () => {
  assert.deepEqual(outcome(undefined, 'gone').problems, [{ check: 'no-result', message: 'gone' }]);
});
