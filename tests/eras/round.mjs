// One client at one server: runs exercises one after the other, each a test of its own, and notes the outcome in the matrix. What the
// exercises are is in exercises.mjs and everything.mjs; who meets whom, in the test files.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { REVISION } from './clients/clients.mjs';
import { answer, askingInVain } from './exercises.mjs';
import { notApplicable } from './matrix.mjs';

/** The name of the exercise that needs a client which cannot be asked for anything. */
export const IN_VAIN = 'asking in vain';

const PATIENCE = 30_000;

/**
 * `where` tells how to reach the server, when it is needed; `servers` are those to meet there, each with the prefix of its names.
 */
export function round({ matrix, part, client, servers, where, log, exercises }) {
  for (const server of servers) matrix.expect(part, client.name, server.name, Object.keys(exercises));
  test(`${client.name} and ${servers.length > 1 ? 'all servers' : servers[0].name}, ${part}`, async (context) => {
    let connected;
    const connection = async (options) => {
      const made = await client.connect(await where(), { answer, log, ...options });
      if (made.protocol !== undefined) assert.equal(made.protocol, REVISION[client.era]);
      return made;
    };
    for (const server of servers) {
      for (const exercise of Object.keys(exercises)) {
        if (notApplicable(client.name, exercise)) {
          matrix.note(part, client.name, server.name, exercise, 'n/a');
          continue;
        }
        const facing = { prefix: server.prefix ?? '', thing: server.thing, clientEra: client.era, serverEra: server.era };
        await context.test(`${server.name}: ${exercise}`, { timeout: PATIENCE }, async () => {
          matrix.note(part, client.name, server.name, exercise, 'FAILED');
          if (client.perform) {
            await client.perform(exercise, { where: await where(), ...facing });
          } else if (exercise === IN_VAIN) {
            const mute = await connection({ capabilities: {} });
            await askingInVain({ client: mute, ...facing });
            await mute.close();
          } else {
            connected ??= await connection();
            const used = connected;
            connected = undefined;
            try {
              await exercises[exercise]({ client: used, ...facing });
              connected = used;
            } finally {
              // Whatever happened to a connection in a failed exercise must not happen to the next one.
              if (!connected) abandon(used);
            }
          }
          matrix.note(part, client.name, server.name, exercise, 'ok');
        });
      }
    }
    await connected?.close();
  });
}

/** Not waited for: a client that did not get its answer may not get this one either. */
function abandon(client) {
  client.close().catch(() => {});
}
