// The clients by name, with the era each is made to speak. Programs of their own are driven by programs.mjs; the SDKs of TypeScript and
// Python are those of ../eras/clients. Which servers they meet stands in servers.mjs.
import path from 'node:path';

import { connectPython } from '../eras/clients/python.mjs';
import { connectClientTwo, connectSdkOne } from '../eras/clients/typescript.mjs';
import { ROOTS, answer } from '../eras/exercises.mjs';
import { connectInspector } from './inspector.mjs';
import { Program } from './programs.mjs';
import { COMMANDS, HERE } from './servers.mjs';

const REDIRECT = 'http://127.0.0.1:43120/callback';

export function meets(client, server) {
  return client.at === undefined || client.at.test(server.name);
}

/** The words that make a client of a program. */
const DRIVEN = {
  go: [...COMMANDS.go, 'client'],
  java: [...COMMANDS.java, 'client'],
  fastmcp: [COMMANDS.fastmcp[0], path.join(HERE, 'python/fastmcp_client.py')],
};

const PEERS = /^(go|java|fastmcp)-/;

/**
 * `signsIn`: where the browser is sent back to, for clients whose own OAuth flow is used; the others are given a token. `at`: the servers
 * that it meets; the others meet all. Those of ../eras meet server-everything there; a client that takes a process for each request meets
 * a few.
 */
export const CLIENTS = [
  { name: 'Go, legacy', era: 'legacy', program: 'go', signsIn: REDIRECT },
  { name: 'Go, modern', era: 'modern', program: 'go', signsIn: REDIRECT },
  { name: 'Java, legacy', era: 'legacy', program: 'java' },
  { name: 'FastMCP, legacy', era: 'legacy', program: 'fastmcp', signsIn: 'its own' },
  { name: 'FastMCP, modern', era: 'modern', program: 'fastmcp', signsIn: 'its own' },
  { name: 'TypeScript 1.x', era: 'legacy', connect: connectSdkOne, at: PEERS },
  { name: 'TypeScript 2.x, legacy', era: 'legacy', connect: connectClientTwo, at: PEERS },
  { name: 'TypeScript 2.x, modern', era: 'modern', connect: connectClientTwo, at: PEERS },
  { name: 'Python, legacy', era: 'legacy', connect: connectPython, at: PEERS },
  { name: 'Python, modern', era: 'modern', connect: connectPython, at: PEERS },
  { name: 'Inspector, legacy', era: 'legacy', connect: connectInspector, signsIn: 'its own', at: /^everything-http$/ },
  { name: 'Inspector, modern', era: 'modern', connect: connectInspector, signsIn: 'its own', at: /^go-stateless$/ },
];

/** Connects clients; one for each lane, since a program serves one connection after the other. */
export class Dock {
  constructor(lane, folder) {
    this.log = path.join(folder, `clients-${lane.replace(/\W+/g, '-')}.log`);
    this.folder = folder;
    this.programs = new Map();
  }

  connect(client, where) {
    this.ending = new AbortController();
    const asked = { era: client.era, answer, roots: ROOTS, log: this.log, folder: this.folder, signal: this.ending.signal };
    return client.program ? this.#program(client.program).connect(where, asked) : client.connect(where, asked);
  }

  #program(name) {
    const held = this.programs.get(name);
    if (held && !held.failed) return held;
    const [command, ...args] = DRIVEN[name];
    const made = new Program(command, args, this.log);
    this.programs.set(name, made);
    return made;
  }

  /** After something did not end in time: what happened to this connection must not happen to the next one. */
  async abandon(client, connected) {
    if (client.program) await this.programs.get(client.program)?.kill();
    else connected?.close().catch(() => {});
    this.ending.abort();
  }

  async stop() {
    for (const program of this.programs.values()) await program.stop();
  }
}
