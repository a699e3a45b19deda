// The servers of the conformance tests: which fixtures there are, and how each is started. What the TypeScript ones offer stands in
// fixtures/README.md; the Rust one is a program of the workspace.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { gatewayBinary, start, tail } from '../interop/processes.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));

export const TRANSPORTS = ['stdio', 'http'];

/** The revisions that a server of an era speaks itself. */
export const REVISIONS_OF = { legacy: ['2025-11-25'], modern: ['2026-07-28'], both: ['2025-11-25', '2026-07-28'] };

const MAKERS = {
  ts: { command: () => process.execPath, args: [path.join(HERE, 'fixtures/server.mjs')] },
  rmcp: { command: () => path.join(path.dirname(gatewayBinary()), 'conformance-server'), args: [] },
};

/** Every server of the tests, without its transport: `ts-legacy`, … */
export const SERVERS = Object.keys(MAKERS).flatMap((maker) => Object.keys(REVISIONS_OF).map((era) => ({ name: `${maker}-${era}`, maker, era })));

/** How `server` is started on stdio, as mcp.json wants it. */
export function stdioCommand({ maker, era }) {
  const { command, args } = MAKERS[maker];
  return { command: command(), args: [...args, '--era', era, '--transport', 'stdio'] };
}

/** Starts `server` on HTTP. Answers with its URL once it listens. */
export async function startHttp({ name, maker, era }, folder) {
  const { command, args } = MAKERS[maker];
  const log = path.join(folder, `${name}-http.log`);
  // Logs are appended to, and an earlier server's line would be taken for this one's.
  fs.rmSync(log, { force: true });
  const server = start(command(), [...args, '--era', era, '--transport', 'http'], { log });
  let over = false;
  server.ended.then(() => {
    over = true;
  });
  for (let attempt = 0; attempt < 600 && !over; attempt += 1) {
    const url = /^listening (\S+)$/m.exec(fs.readFileSync(log, 'utf8'))?.[1];
    if (url) return { url, stop: server.stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await server.stop();
  throw new Error(`${name} does not listen:\n${tail(log)}`);
}
