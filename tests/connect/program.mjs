// `portunus connect` as a client starts it, and the person at its side: whatever address it prints is opened, once, by a browser without
// a window (../interop/agent.mjs), or by a plain walk along redirects.
import { createInterface } from 'node:readline';

import fs from 'node:fs';
import path from 'node:path';

import { gatewayBinary, plainEnvironment } from '../interop/processes.mjs';

/** What a transport of an SDK is made with. `data` is the folder of its tokens. */
export function connectProgram(url, { data, args = [], env = {} }) {
  return {
    command: gatewayBinary(),
    args: ['connect', '--no-browser', '--verbose', ...args, url],
    env: plainEnvironment({ XDG_DATA_HOME: data, ...env }),
    stderr: 'pipe',
  };
}

/**
 * The same with a browser that it can open, which is person.mjs: for clients that start the program more than once and show one of its
 * outputs only. `opened()` gives the addresses that were opened, and what became of those that failed.
 */
export function connectWithBrowser(url, { data, args = [], env = {} }) {
  const bin = path.join(data, 'bin');
  const opened = path.join(data, 'opened');
  fs.mkdirSync(bin, { recursive: true });
  const person = path.join(import.meta.dirname, 'person.mjs');
  fs.writeFileSync(path.join(bin, 'xdg-open'), `#!/bin/sh\nexec '${process.execPath}' '${person}' '${opened}' "$1"\n`, { mode: 0o755 });
  const program = connectProgram(url, { data, args, env });
  program.args = program.args.filter((arg) => arg !== '--no-browser');
  program.env.PATH = `${bin}:${program.env.PATH}`;
  return { program, opened: () => (fs.existsSync(opened) ? fs.readFileSync(opened, 'utf8').trim().split('\n') : []) };
}

/**
 * Watches what the program says. `open` is called with each address of a sign-in; what it says is in `said`, and the addresses in
 * `opened`.
 */
export function watch(stderr, open) {
  const seen = { said: [], opened: [], failed: [] };
  let isNext = false;
  createInterface({ input: stderr }).on('line', (line) => {
    seen.said.push(line);
    if (isNext) {
      seen.opened.push(line);
      Promise.resolve(open(line)).catch((error) => seen.failed.push(error));
    }
    isNext = line.startsWith('To sign in, open');
  });
  return seen;
}

/** Follows redirects to their end. */
export async function walk(url) {
  const answer = await fetch(url);
  await answer.text();
}
