// One way to connect per client. Each returns the same few verbs, so that exercise.mjs can ask the same of all of them.
import path from 'node:path';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import fs from 'node:fs';

import { Client as ClientOne } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportOne } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError as UnauthorizedOne } from '@modelcontextprotocol/sdk/client/auth.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Client as ClientTwo, StreamableHTTPClientTransport as TransportTwo, UnauthorizedError as UnauthorizedTwo } from '@modelcontextprotocol/client';

import { Browser } from './agent.mjs';
import { HERE, plainEnvironment, tail } from './processes.mjs';

const WHO = { name: 'interop', version: '1.0.0' };

/** @modelcontextprotocol/sdk 1.x, its own OAuth flow included. */
export async function connectSdkOne(url, keychain) {
  const open = () => new TransportOne(new URL(url), { authProvider: keychain });
  return connectWithOAuth({
    make: () => new ClientOne(WHO, { capabilities: {} }),
    open,
    unauthorized: UnauthorizedOne,
    finish: (transport) => transport.finishAuth(keychain.answer.searchParams.get('code')),
    verbs: verbsOfSdkOne,
  });
}

/** @modelcontextprotocol/client 2.x. `mode` is its version negotiation: `legacy` (its default) or `auto`. */
export async function connectClientTwo(url, keychain, mode = 'legacy') {
  const open = () => new TransportTwo(new URL(url), { authProvider: keychain });
  return connectWithOAuth({
    make: () => new ClientTwo(WHO, { capabilities: {}, versionNegotiation: { mode } }),
    open,
    unauthorized: UnauthorizedTwo,
    // The whole callback, so that `iss` is checked too (RFC 9207).
    finish: (transport) => transport.finishAuth(keychain.answer.searchParams),
    verbs: verbsOfClientTwo,
  });
}

/**
 * mcp-remote: a stdio server for clients without HTTP. Its "browser" is a script that writes down the URL it is given: named by
 * BROWSER for the opener that it brings, and on PATH for those of the system that it falls back to.
 */
export async function connectMcpRemote(url, { folder, person = 'alice' }) {
  const opened = path.join(folder, 'opened-urls');
  const bin = path.join(folder, 'bin');
  fs.mkdirSync(bin, { recursive: true });
  for (const name of ['xdg-open', 'x-www-browser']) {
    fs.writeFileSync(path.join(bin, name), `#!/bin/sh\nprintf '%s\\n' "$1" >> '${opened}'\n`, { mode: 0o755 });
  }
  fs.rmSync(opened, { force: true });
  const log = path.join(folder, 'mcp-remote.log');
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [path.join(HERE, 'node_modules/mcp-remote/dist/proxy.js'), url, '--transport', 'http-only'],
    env: { ...plainEnvironment(), PATH: `${bin}:${process.env.PATH}`, BROWSER: path.join(bin, 'x-www-browser'), MCP_REMOTE_CONFIG_DIR: path.join(folder, 'mcp-auth') },
    stderr: 'pipe',
  });
  const client = new ClientOne(WHO, { capabilities: {} });
  const seen = { signIns: 0 };
  let done = false;
  const watching = watchBrowser();
  try {
    const connecting = client.connect(transport, { timeout: 60_000 });
    transport.stderr.pipe(fs.createWriteStream(log, { flags: 'a' }));
    await Promise.race([connecting, watching]);
    await connecting;
  } catch (error) {
    error.message += `\n${fs.existsSync(log) ? tail(log) : ''}`;
    await client.close();
    throw error;
  } finally {
    done = true;
  }
  return { ...verbsOfSdkOne(client), seen, close: () => client.close() };

  // Opens every URL that mcp-remote hands to its browser; its own callback listener is part of the walk.
  async function watchBrowser() {
    // bounded: by the connecting that it is watched for, which has a time limit of its own.
    for (;;) {
      if (done) return new Promise(() => {});
      const lines = fs.existsSync(opened) ? fs.readFileSync(opened, 'utf8').trim().split('\n') : [];
      const urls = [...new Set(lines)];
      for (; seen.signIns < urls.length; seen.signIns += 1) {
        await new Browser({ login: person, password: 'not looked at', decision: 'allow' }).visit(urls[seen.signIns]);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Python's mcp. The script beside this file is told what to do in JSON lines and answers in JSON lines. */
export async function connectPython(url, { person = 'alice', mode = 'auto', log }) {
  const child = spawn(process.env.PYTHON ?? 'python3', [path.join(HERE, 'python_client.py'), url, mode], {
    stdio: ['pipe', 'pipe', fs.openSync(log, 'a')],
    env: { ...plainEnvironment(), PYTHONUNBUFFERED: '1' },
  });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const browser = new Browser({ login: person, password: 'not looked at', decision: 'allow' });
  const waiting = new Map();
  const progress = new Map();
  const seen = { signIns: 0 };
  let next = 0;
  let failed;
  const send = (message) => child.stdin.write(`${JSON.stringify(message)}\n`);
  const fail = (error) => {
    failed = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  child.on('exit', (code) => {
    process.off('exit', kill);
    fail(new Error(`python ended with ${code}:\n${tail(log)}`));
  });
  createInterface({ input: child.stdout }).on('line', async (line) => {
    const message = JSON.parse(line);
    if (message.open) {
      seen.signIns += 1;
      try {
        const answer = await browser.visit(message.open, message.redirect);
        send({ callback: Object.fromEntries(answer.searchParams) });
      } catch (error) {
        fail(error);
        kill();
      }
    } else if (message.progress) {
      progress.get(message.id)?.(message.progress);
    } else {
      const { resolve, reject } = waiting.get(message.id) ?? {};
      waiting.delete(message.id);
      if (message.error) reject?.(new Error(message.error));
      else resolve?.(message.result);
    }
  });
  const ask = (verb, args = {}, onprogress) => {
    if (failed) return Promise.reject(failed);
    const id = next;
    next += 1;
    if (onprogress) progress.set(id, onprogress);
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      send({ id, verb, args });
    });
  };
  const connected = await ask('connect');
  return {
    connected,
    seen,
    tools: () => ask('tools'),
    call: (name, args, onprogress) => ask('call', { name, args }, onprogress),
    prompts: () => ask('prompts'),
    prompt: (name, args) => ask('prompt', { name, args }),
    resources: () => ask('resources'),
    templates: () => ask('templates'),
    read: (uri) => ask('read', { uri }),
    complete: (ref, argument) => ask('complete', { ref, argument }),
    /** Lets the access token expire; answers with how many token requests were refreshes so far. */
    expire: () => ask('expire'),
    refreshes: () => ask('refreshes'),
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      send({ verb: 'close' });
      await ended;
    },
  };
}

// Both SDKs leave it to the application to finish the authorization and to connect again.
async function connectWithOAuth({ make, open, unauthorized, finish, verbs }) {
  let client = make();
  let transport = open();
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof unauthorized) && !(error.cause instanceof unauthorized)) throw error;
    await finish(transport);
    client = make();
    transport = open();
    await client.connect(transport);
  }
  return {
    ...verbs(client),
    client,
    transport,
    async close() {
      await transport.terminateSession?.();
      await client.close();
    },
  };
}

function verbsOfSdkOne(client) {
  return {
    tools: async () => (await client.listTools()).tools,
    call: (name, args, onprogress) => client.callTool({ name, arguments: args }, undefined, { onprogress }),
    prompts: async () => (await client.listPrompts()).prompts,
    prompt: (name, args) => client.getPrompt({ name, arguments: args }),
    resources: async () => (await client.listResources()).resources,
    templates: async () => (await client.listResourceTemplates()).resourceTemplates,
    read: (uri) => client.readResource({ uri }),
    complete: async (ref, argument) => (await client.complete({ ref, argument })).completion,
  };
}

function verbsOfClientTwo(client) {
  return {
    ...verbsOfSdkOne(client),
    call: (name, args, onprogress) => client.callTool({ name, arguments: args }, { onprogress }),
  };
}
