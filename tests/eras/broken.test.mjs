// Official clients of the legacy era whose connections break in the middle of an answer: they come back for the rest, what a server asks
// meanwhile included, and the call is made once. Whole connections are next door, in eras.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { CLIENTS } from './clients/clients.mjs';
import { startCutting } from './cutting.mjs';
import { answer, said } from './exercises.mjs';
import { FIXTURES } from './fixtures.mjs';
import { Setup } from './setup.mjs';

const setup = new Setup('broken');
let way;

before(async () => {
  await setup.start();
  way = await startCutting(setup.base);
}, { timeout: 120_000 });
after(async () => {
  await way?.stop();
  await setup.stop();
});

for (const client of CLIENTS.filter(({ era, connect }) => era === 'legacy' && connect)) {
  describe(client.name, () => {
    // Which server is behind it makes no difference; one of each era, and of each transport.
    for (const fixture of FIXTURES.filter(({ name }) => ['legacy-http', 'modern-stdio'].includes(name))) {
      test(fixture.name, { timeout: 60_000 }, async () => {
        const at = `/mcp/${fixture.name}`;
        const { token } = await setup.throughGateway(at);
        const before = { cuts: way.seen.cuts, returns: way.seen.returns.length };
        const connected = await client.connect({ url: way.origin + at, token }, { answer, log: setup.log });
        try {
          const steps = [];
          const slow = await connected.call('slow', { steps: 4, milliseconds: 20 }, { onprogress: (step) => steps.push(step.progress) });
          assert.equal(said(slow), '4 steps done');
          assert.deepEqual(steps, [1, 2, 3, 4], 'nothing is lost, nothing comes twice');
          assert.equal(said(await connected.call('ask_while_working', {}, { onprogress: () => {} })), 'hello Ada');
        } finally {
          await connected.close();
        }
        assert.ok(way.seen.cuts >= before.cuts + 2, 'both calls lost their connection');
        assert.ok(way.seen.returns.length >= before.returns + 2, 'and came back');
      });
    }
  });
}

test('the gateway and the provider came to no harm', () => setup.assertUnharmed());
