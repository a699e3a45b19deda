// Clients that are programs of their own, in Go, Java and Python: started here, told what to do in JSON lines, and listened to. The lines
// are the same for all of them, and so are the verbs: those of ../eras/clients. Each program serves one connection after the other.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createInterface } from 'node:readline';

import { Browser } from '../interop/agent.mjs';
import { tail } from '../interop/processes.mjs';

const OPENS_AT_MOST = 3;

/** An error as the program told it: with the code and the data of the protocol's error where it was one. */
class Told extends Error {
  constructor({ message, code, data }) {
    super(message);
    if (code !== undefined) this.code = code;
    if (data !== undefined) this.data = data;
  }
}

export class Program {
  constructor(command, args, log) {
    const out = fs.openSync(log, 'a');
    const env = { ...process.env, PYTHONUNBUFFERED: '1', FASTMCP_CHECK_FOR_UPDATES: 'off' };
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', out], env });
    fs.closeSync(out);
    this.waiting = new Map();
    this.last = 0;
    const kill = () => this.child.kill('SIGKILL');
    process.on('exit', kill);
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(String(error)));
      this.child.once('exit', resolve);
    });
    this.ended.then((how) => {
      process.off('exit', kill);
      this.failed = new Error(`${command} ended with ${how}:\n${tail(log)}`);
      for (const { reject } of this.waiting.values()) reject(this.failed);
    });
    this.child.stdin.on('error', () => {});
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#hear(JSON.parse(line)));
  }

  /** A connection: who answers what is asked, and the person whose browser is opened. */
  async connect(where, { era, answer, roots, person = 'alice' }) {
    this.seen = { asked: [], logs: [], updated: [], completed: [], signIns: 0 };
    this.answer = answer;
    this.watching = new Map();
    this.browser = new Browser({ login: person, password: 'not looked at', decision: 'allow' });
    const told = await this.ask('connect', { where, era, roots });
    return { ...this.#verbs(), ...told, seen: this.seen };
  }

  ask(verb, args = {}, { onprogress, signal } = {}) {
    if (this.failed) return Promise.reject(this.failed);
    this.last += 1;
    const id = this.last;
    if (onprogress) this.watching.set(id, onprogress);
    signal?.addEventListener('abort', () => this.ask('callOff', { call: id }).catch(() => {}));
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.#say({ id, verb, ...args });
    });
  }

  async stop() {
    this.child.stdin.end();
    const impatient = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
    await this.ended;
    clearTimeout(impatient);
  }

  kill() {
    this.child.kill('SIGKILL');
    return this.ended;
  }

  #say(message) {
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  async #hear(message) {
    if (message.open) await this.#open(message.open);
    else if (message.ask) this.#say({ answer: message.ask, result: await this.#answer(message.method, message.params) });
    else if (message.told === 'progress') this.watching.get(message.id)?.(message.progress);
    else if (message.told === 'log') this.seen.logs.push(message.params);
    else if (message.told === 'updated') this.seen.updated.push(message.uri);
    else {
      const { resolve, reject } = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error) reject(new Told(message.error));
      else resolve(message.result);
    }
  }

  async #answer(method, params) {
    if (method === 'open') return Object.fromEntries((await this.#open(params.url, params.redirect)).searchParams);
    this.seen.asked.push({ method, params });
    return this.answer(method, params);
  }

  /** The person's part of a sign-in. Without `until` the program listens for the callback itself, which is then part of the walk. */
  async #open(url, until) {
    this.seen.signIns += 1;
    try {
      if (this.seen.signIns > OPENS_AT_MOST) throw new Error(`signed in ${OPENS_AT_MOST} times in one connection`);
      return await this.browser.visit(url, until);
    } catch (error) {
      for (const { reject } of this.waiting.values()) reject(error);
      await this.kill();
      throw error;
    }
  }

  #verbs() {
    return {
      tools: () => this.ask('tools'),
      call: (name, args, options) => this.ask('call', { name, args, progress: options?.onprogress !== undefined }, options),
      prompts: () => this.ask('prompts'),
      prompt: (name, args) => this.ask('prompt', { name, args }),
      resources: () => this.ask('resources'),
      templates: () => this.ask('templates'),
      read: (uri) => this.ask('read', { uri }),
      complete: (ref, argument) => this.ask('complete', { ref, argument }),
      wantLogs: (level) => this.ask('wantLogs', { level }),
      subscribe: async (uri) => {
        await this.ask('subscribe', { uri });
        return () => this.ask('unsubscribe', { uri });
      },
      close: () => this.ask('close'),
    };
  }
}
