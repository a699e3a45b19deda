// MCP Inspector's command line as a client: a process for each request, which connects, asks one thing and ends. It signs in by itself
// and keeps what it got for the next process. What it has no method for fails here as it would there. The clients that stay connected are
// in programs.mjs.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { Browser } from '../interop/agent.mjs';
import { freePort, plainEnvironment } from '../interop/processes.mjs';
import { HERE } from './servers.mjs';

const PROGRAM = path.join(HERE, 'node/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js');
const PATIENCE = 20_000;

/** `where` has a URL; with `redirect`, the sign-in is the program's own. */
export async function connectInspector(where, { era, folder }) {
  const home = fs.mkdtempSync(path.join(folder, 'inspector-'));
  const seen = { asked: [], logs: [], updated: [], completed: [], signIns: 0 };
  const callback = `http://127.0.0.1:${await freePort()}/oauth/callback`;
  const ask = (method, ...words) => run({ where, era, home, callback, seen }, ['--method', method, ...words]);
  const lacks = (what) => async () => {
    throw new Error(`its --cli has no method for ${what}`);
  };
  const told = await ask('initialize');
  return {
    seen,
    protocol: told.protocolVersion,
    tools: async () => (await ask('tools/list')).tools,
    call: (name, args) => ask('tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
    prompts: async () => (await ask('prompts/list')).prompts,
    prompt: (name, args) => {
      const given = Object.entries(args).flatMap(([key, value]) => ['--prompt-args', `${key}=${value}`]);
      return ask('prompts/get', '--prompt-name', name, ...given);
    },
    resources: async () => (await ask('resources/list')).resources,
    templates: async () => (await ask('resources/templates/list')).resourceTemplates,
    read: (uri) => ask('resources/read', '--uri', uri),
    complete: lacks('completion'),
    wantLogs: (level) => ask('logging/setLevel', '--log-level', level),
    subscribe: lacks('subscriptions'),
    close: async () => {},
  };
}

async function run({ where, era, home, callback, seen }, words) {
  const all = [
    PROGRAM, '--cli', '--server-url', where.url, '--transport', 'http', '--protocol-era', era, '--format', 'json',
    '--callback-url', callback,
    ...(where.token ? ['--header', `Authorization: Bearer ${where.token}`] : []), ...words,
  ];
  const env = plainEnvironment({
    HOME: home,
    MCP_STORAGE_DIR: path.join(home, 'storage'),
    MCP_INSPECTOR_SECRET_STORE: 'file',
    // Without a terminal it signs in only where it may open a browser. What it should open it prints, too.
    MCP_AUTO_OPEN_ENABLED: 'true',
    BROWSER: 'true',
  });
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const timer = setTimeout(kill, PATIENCE);
  const printed = { stdout: '', stderr: '' };
  let opened;
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (part) => {
      printed[stream] += part;
      const url = !opened && /Please navigate to: (\S+)/.exec(printed.stderr)?.[1];
      if (!url) return;
      seen.signIns += 1;
      // It listens for the callback itself, which is part of the walk.
      opened = new Browser({ login: 'alice', password: 'not looked at', decision: 'allow' }).visit(url).catch(kill);
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  process.off('exit', kill);
  if (printed.stdout.trim()) return JSON.parse(printed.stdout).result;
  throw refused(printed.stderr, code);
}

/** What it says on the error stream ends with a line of JSON. */
function refused(said, code) {
  const envelope = said.trim().split('\n').findLast((line) => line.startsWith('{'));
  const { message, code: kind } = (envelope && JSON.parse(envelope).error) ?? {};
  const error = new Error(message ?? `ended with ${code}: ${said.slice(-500)}`);
  if (kind) error.code = kind;
  return error;
}
