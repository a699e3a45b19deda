// The servers that clients meet here: the fixtures of servers/ in every era and on every transport, and how each is started. The gateway's
// configuration that names them is made in eras.test.mjs.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { answers, freePort, start } from '../interop/processes.mjs';

const SCRIPT = path.join(path.dirname(fileURLToPath(import.meta.url)), 'servers/server.mjs');

export const FIXTURES = ['legacy', 'modern', 'both'].flatMap((era) =>
  ['stdio', 'http'].map((transport) => ({ name: `${era}-${transport}`, era, transport, thing: `era://${era}-${transport}/thing` })),
);

/** A legacy server as a child of each client, where otherwise there is one for each person. */
export const APART = { name: 'apart-stdio', era: 'legacy', transport: 'stdio', thing: 'era://apart/thing', isolation: 'session' };

/** The eras a fixture can be spoken to in. */
export function speaks(fixture, era) {
  return fixture.era === era || fixture.era === 'both';
}

export function stdioCommand({ era, thing }) {
  return { command: process.execPath, args: [SCRIPT, '--era', era, '--transport', 'stdio', '--thing', thing] };
}

/** Starts a fixture on HTTP; answers with its URL and how to stop it. */
export async function startHttp({ name, era, thing }, folder) {
  const port = await freePort();
  const server = start(process.execPath, [SCRIPT, '--era', era, '--transport', 'http', '--port', String(port), '--thing', thing], {
    log: path.join(folder, `${name}.log`),
  });
  const url = `http://localhost:${port}/mcp`;
  await answers(url, server);
  return { url, stop: server.stop };
}
