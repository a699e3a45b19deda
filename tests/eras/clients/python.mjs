// Python's mcp as a client: starts python_client.py, tells it what to do and listens to what it is asked. The TypeScript clients are in
// typescript.mjs, with the same verbs.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = path.join(path.dirname(fileURLToPath(import.meta.url)), 'python_client.py');

/** `signal` ends it, connected or not. */
export async function connectPython(where, { era, answer, capabilities, log, signal: ending }) {
  const out = fs.openSync(log, 'a');
  const child = spawn(process.env.PYTHON ?? 'python3', [SCRIPT, era, capabilities ? 'no' : 'yes', JSON.stringify(where)], {
    stdio: ['pipe', 'pipe', out],
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
  });
  fs.closeSync(out);
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  ending?.addEventListener('abort', kill);
  const seen = { asked: [], logs: [], updated: [], completed: [], changes: 0 };
  const waiting = new Map();
  const watching = new Map();
  let last = 0;
  let failed;
  const send = (message) => child.stdin.write(`${JSON.stringify(message)}\n`);
  const connected = new Promise((resolve, reject) => waiting.set(0, { resolve, reject }));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  ended.then((code) => {
    process.off('exit', kill);
    failed = new Error(`python ended with ${code}:\n${fs.readFileSync(log, 'utf8').split('\n').slice(-30).join('\n')}`);
    for (const { reject } of waiting.values()) reject(failed);
  });
  child.stdin.on('error', () => {});

  createInterface({ input: child.stdout }).on('line', async (line) => {
    const message = JSON.parse(line);
    if (message.ask) {
      seen.asked.push({ method: message.method, params: message.params });
      send({ answer: message.ask, result: await answer(message.method, message.params) });
    } else if (message.told === 'progress') watching.get(message.id)?.(message.progress);
    else if (message.told === 'log') seen.logs.push(message.params);
    else if (message.told === 'updated') seen.updated.push(message.uri);
    else if (message.told === 'changed') seen.changes += 1;
    else if (message.told === 'completed') seen.completed.push(message.elicitationId);
    else {
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      watching.delete(message.id);
      if ('error' in message) reject(new Error(message.error));
      else resolve(message.result);
    }
  });

  const ask = (verb, args = {}, { onprogress, signal } = {}) => {
    if (failed) return Promise.reject(failed);
    last += 1;
    const id = last;
    if (onprogress) watching.set(id, onprogress);
    signal?.addEventListener('abort', () => send({ verb: 'callOff', call: id }));
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      send({ id, verb, ...args });
    });
  };
  const { protocol } = await connected;
  return {
    seen,
    protocol,
    tools: () => ask('tools'),
    call: (name, args, options) => ask('call', { name, args, progress: options?.onprogress !== undefined }, options),
    prompts: () => ask('prompts'),
    prompt: (name, args) => ask('prompt', { name, args }),
    resources: () => ask('resources'),
    templates: () => ask('templates'),
    read: (uri) => ask('read', { uri }),
    complete: (ref, argument) => ask('complete', { ref, argument }),
    wantLogs: (level) => ask('wantLogs', { level }),
    async watchTools() {
      await ask('watchTools');
      return () => ask('unwatchTools');
    },
    async subscribe(uri) {
      await ask('subscribe', { uri });
      return () => ask('unsubscribe', { uri });
    },
    async close() {
      send({ verb: 'close' });
      const impatient = setTimeout(kill, 10_000);
      await ended;
      clearTimeout(impatient);
    },
  };
}
