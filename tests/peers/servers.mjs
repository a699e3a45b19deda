// The servers that clients meet here, and where everything that was built or installed for them is. The gateway's configuration that
// names them is made in setup.mjs; which clients there are stands in clients.mjs.
import path from 'node:path';

import { EVERYTHING as REFERENCE, HERE as INTEROP } from '../interop/processes.mjs';
import { EVERYTHING } from './everything.mjs';
import { EXERCISES } from './exercises.mjs';

export const HERE = path.join(INTEROP, '../peers');
const built = process.env.PEERS ?? path.join(INTEROP, '../../.test/peers');

/** How each peer is started, up to the words that say what it should be. */
export const COMMANDS = {
  go: [path.join(built, 'go-peer')],
  java: [
    'java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Xmx256m', `-Djava.io.tmpdir=${built}`,
    '-cp', `${path.join(built, 'java/classes')}:${path.join(built, 'java/lib')}/*`, 'peers.Peer',
  ],
  fastmcp: [process.env.FASTMCP_PYTHON ?? path.join(built, 'venv/bin/python'), path.join(HERE, 'python/fastmcp_server.py')],
};

/** Those in one lane are met one after the other: some of what they do is counted, so no two clients meet one of them at once. */
function peer(language, kind, words) {
  const name = `${language}-${kind}`;
  const lane = `${language}, ${['stdio', 'http'].includes(kind) ? 'with streams and sessions' : 'without'}`;
  const thing = `peer://${name}/thing`;
  const transport = kind === 'stdio' ? 'stdio' : 'http';
  const [command, ...args] = COMMANDS[language];
  const serving = [...args, ...(language === 'fastmcp' ? [] : ['server']), '--transport', transport, '--thing', thing, ...words];
  return { name, lane, transport, thing, command, args: serving, exercises: EXERCISES };
}

export const SERVERS = [
  {
    name: 'everything-stdio', lane: 'everything', transport: 'stdio',
    command: process.execPath, args: [REFERENCE, 'stdio'], exercises: EVERYTHING,
  },
  { name: 'everything-http', lane: 'everything', transport: 'http', exercises: EVERYTHING },
  peer('go', 'stdio', []),
  peer('go', 'http', []),
  peer('go', 'json', ['--json']),
  peer('go', 'stateless', ['--stateless']),
  peer('java', 'stdio', []),
  // Before it has something to tell, it does not answer a client that wants to listen.
  { ...peer('java', 'http', []), silent: true },
  peer('java', 'stateless', ['--stateless']),
  peer('fastmcp', 'stdio', []),
  peer('fastmcp', 'http', []),
  peer('fastmcp', 'json', ['--json']),
  peer('fastmcp', 'stateless', ['--stateless', '--json']),
];
