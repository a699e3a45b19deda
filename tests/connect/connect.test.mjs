// Official clients over stdio, of both eras, through `portunus connect` to a gateway that signs people in at a real OpenID provider. Run
// by `./test connect`; the client scenarios of the conformance runner are next door.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Browser } from '../interop/agent.mjs';
import { freePort, gatewayBinary, plainEnvironment, scratch, startGateway } from '../interop/processes.mjs';
import { startProvider } from '../interop/provider.mjs';
import { ClientOne, ClientTwo, StdioOne, StdioTwo } from '../interop/stdio_clients.mjs';
import { connectProgram, connectWithBrowser, watch } from './program.mjs';

const PYTHON = path.join(import.meta.dirname, 'python_client.py');
const WHO = { name: 'connect', version: '1.0.0' };
const PATIENCE = { timeout: 120_000 };
const folder = scratch('main');
let provider;
let gateway;
let settings;
let url;
let folders = 0;

before(async () => {
  const port = await freePort();
  const base = `http://localhost:${port}`;
  provider = await startProvider({ port: await freePort(), redirectUris: [`${base}/auth/callback/testidp`, `${base}/auth/callback`], signedOutUris: [`${base}/`] });
  settings = {
    port,
    env: {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_SECRET: randomBytes(33).toString('base64'),
    },
    mcp: { mcpServers: { dice: { command: gatewayBinary(), args: ['demo-server', 'dice'] } } },
    config: '',
  };
  gateway = await startGateway(folder, settings);
  url = `${base}/mcp/dice`;
}, PATIENCE);

after(async () => {
  await gateway?.stop();
  await provider?.stop();
});

/** A folder for tokens that no other test has. */
function tokens() {
  folders += 1;
  const data = path.join(folder, `tokens-${folders}`);
  fs.mkdirSync(data, { mode: 0o700 });
  return data;
}

const kept = (data) => {
  const at = path.join(data, 'portunus/connect');
  const file = path.join(at, fs.readdirSync(at).find((name) => /^sign-in-.*\.json$/.test(name)));
  return { at, file, read: () => JSON.parse(fs.readFileSync(file)), write: (value) => fs.writeFileSync(file, JSON.stringify(value)) };
};

/** What a person does with the address that is printed. */
const signIn = async (address) => {
  const page = await new Browser({ login: 'alice', password: 'not looked at', decision: 'allow' }).visit(address);
  assert.equal(page.status, 200);
};

const sdk = (Client, Transport, options) => async (data, at = url) => {
  const { program, opened } = connectWithBrowser(at, { data });
  const before = opened().length;
  const transport = new Transport(program);
  const seen = watch(transport.stderr, () => {});
  const client = new Client(WHO, { capabilities: {}, ...options });
  try {
    await client.connect(transport);
  } catch (error) {
    error.message += `\n${seen.said.join('\n')}\n${opened().join('\n')}`;
    throw error;
  }
  return {
    signIns: () => opened().slice(before).length,
    tools: async () => (await client.listTools()).tools,
    call: (name) => client.callTool({ name, arguments: {} }),
    era: () => client.getProtocolEra?.(),
    close: () => client.close(),
  };
};

const CLIENTS = {
  'TypeScript 1.x': sdk(ClientOne, StdioOne, {}),
  'TypeScript 2.x, probing': sdk(ClientTwo, StdioTwo, { versionNegotiation: { mode: 'auto' } }),
  'TypeScript 2.x, modern, pinned': sdk(ClientTwo, StdioTwo, { versionNegotiation: { mode: { pin: '2026-07-28' } } }),
  'TypeScript 2.x, legacy': sdk(ClientTwo, StdioTwo, {}),
};

async function works(client) {
  const [tool] = await client.tools();
  const result = await client.call(tool.name);
  assert.ok(result.content.length > 0 && !result.isError, JSON.stringify(result));
}

const refreshes = () => fs.readFileSync(gateway.log, 'utf8').split('refresh token used: exchanged').length - 1;
const registrations = () => fs.readFileSync(gateway.log, 'utf8').split('client registered').length - 1;

describe('a sign-in, a call, and no other sign-in', () => {
  for (const [name, connect] of Object.entries(CLIENTS)) {
    test(name, PATIENCE, async () => {
      const data = tokens();
      const first = await connect(data);
      await works(first);
      assert.equal(first.signIns(), 1);
      if (/probing|modern/.test(name)) assert.equal(first.era(), 'modern');
      await first.close();
      const second = await connect(data);
      await works(second);
      assert.equal(second.signIns(), 0);
      await second.close();
      assert.equal(fs.statSync(kept(data).file).mode & 0o777, 0o600);
      assert.equal(fs.statSync(kept(data).at).mode & 0o777, 0o700);
    });
  }

  for (const mode of ['legacy', 'auto']) {
    test(`Python, ${mode}`, PATIENCE, async () => {
      const data = tokens();
      const { command, args, env } = connectProgram(url, { data });
      const client = spawn(process.env.PYTHON ?? 'python3', [PYTHON, mode, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...env, PYTHONUNBUFFERED: '1' } });
      const seen = watch(client.stderr, signIn);
      const said = [];
      client.stdout.on('data', (piece) => said.push(piece));
      const code = await new Promise((resolve) => client.on('close', resolve));
      assert.equal(code, 0, seen.said.join('\n'));
      const { tools, content } = JSON.parse(Buffer.concat(said));
      assert.ok(tools > 0 && content > 0);
      assert.equal(seen.opened.length, 1);
    });
  }
});

const first = CLIENTS['TypeScript 1.x'];

test('BASE_URL names the gateway', PATIENCE, async () => {
  const program = connectProgram('', { data: tokens(), env: { BASE_URL: new URL(url).origin } });
  const transport = new StdioOne({ ...program, args: program.args.filter(Boolean) });
  const seen = watch(transport.stderr, signIn);
  const client = new ClientOne(WHO, { capabilities: {} });
  await client.connect(transport);
  assert.equal(seen.opened.length, 1);
  assert.ok(new URL(seen.opened[0]).searchParams.get('resource').endsWith('/mcp'));
  await client.close();
});

test('two at once share one sign-in, one registration and one refresh', PATIENCE, async () => {
  const data = tokens();
  const before = registrations();
  const both = await Promise.all([first(data), CLIENTS['TypeScript 2.x, probing'](data)]);
  await Promise.all(both.map(works));
  assert.equal(Math.max(both[0].signIns(), both[1].signIns()), 1);
  assert.equal(registrations() - before, 1);
  await Promise.all(both.map((client) => client.close()));

  const { read, write } = kept(data);
  write({ ...read(), access_token: 'no-longer-good' });
  const used = refreshes();
  const again = await Promise.all([first(data), CLIENTS['TypeScript 2.x, probing'](data)]);
  await Promise.all(again.map(works));
  assert.equal(again[0].signIns(), 0);
  assert.equal(refreshes() - used, 1);
  await Promise.all(again.map((client) => client.close()));
});

test('a token that ends soon is refreshed before it does', PATIENCE, async () => {
  const data = tokens();
  await (await first(data)).close();
  const { read, write } = kept(data);
  write({ ...read(), expires_at: Math.floor(Date.now() / 1000) + 5 });
  const used = refreshes();
  const client = await first(data);
  await works(client);
  assert.deepEqual([client.signIns(), refreshes() - used], [0, 1]);
  await client.close();
});

test('tokens that were revoked cost one sign-in', PATIENCE, async () => {
  const data = tokens();
  await (await first(data)).close();
  const { read, write } = kept(data);
  write({ ...read(), access_token: 'no-longer-good', refresh_token: 'neither-is-this' });
  const client = await first(data);
  await works(client);
  assert.equal(client.signIns(), 1);
  await client.close();
});

test('a file that others can read is refused, and says so', PATIENCE, async () => {
  const data = tokens();
  await (await first(data)).close();
  const { file } = kept(data);
  fs.chmodSync(file, 0o644);
  const { command, args, env } = connectProgram(url, { data });
  const { code, said } = await run(command, args, env);
  assert.equal(code, 1);
  assert.match(said, /can be read or changed by others \(mode 644\)/);
  fs.chmodSync(file, 0o600);
  if (process.getuid() === 0) {
    fs.chownSync(file, 12345, 12345);
    assert.match((await run(command, args, env)).said, /belongs to the user with the number 12345/);
  }
});

test('the gateway starts anew in the middle of a session', PATIENCE, async () => {
  const data = tokens();
  const client = await first(data);
  await works(client);
  await gateway.stop();
  const calling = works(client);
  gateway = await startGateway(folder, settings);
  await calling;
  assert.equal(client.signIns(), 1);
  await client.close();
});

test('nothing but MCP is on standard output, and no token on the other', PATIENCE, async () => {
  const data = tokens();
  await (await first(data)).close();
  const { command, args, env } = connectProgram(url, { data });
  const lines = [
    { jsonrpc: '2.0', id: 'a', method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: WHO } },
    { jsonrpc: '2.0', method: 'notifications/initialized' },
  ];
  const { code, out, said } = await run(command, args, env, `${lines.map((line) => JSON.stringify(line)).join('\n')}\nno message\n`);
  assert.equal(code, 0, said);
  const answers = out.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(answers.map(({ id, error }) => [id, error?.code]).sort(), [[null, -32700], ['a', undefined]].sort());
  const { access_token, refresh_token } = kept(data).read();
  for (const secret of [access_token, refresh_token]) assert.ok(!said.includes(secret) && !out.includes(secret));
});

test('--login signs in beforehand, --logout forgets it', PATIENCE, async () => {
  const data = tokens();
  const { command, args, env } = connectProgram(url, { data });
  const login = spawn(command, [...args, '--login'], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const seen = watch(login.stderr, signIn);
  assert.equal(await new Promise((resolve) => login.on('close', resolve)), 0, seen.said.join('\n'));
  const client = await first(data);
  await works(client);
  assert.equal(client.signIns(), 0);
  await client.close();
  assert.match((await run(command, [...args, '--logout'], env)).out, /forgotten/);
  assert.match((await run(command, [...args, '--logout'], env)).out, /There was no sign-in/);
});

test('a browser is opened at an address of this machine, which leads on once', PATIENCE, async () => {
  const bin = path.join(folder, 'bin');
  const opened = path.join(folder, 'opened');
  fs.mkdirSync(bin, { recursive: true });
  fs.writeFileSync(path.join(bin, 'xdg-open'), `#!/bin/sh\nprintf '%s\\n' "$1" > '${opened}.new' && mv '${opened}.new' '${opened}'\n`, { mode: 0o755 });
  const { command, args, env } = connectProgram(url, { data: tokens() });
  const login = spawn(command, [...args.filter((arg) => arg !== '--no-browser'), '--login'], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...env, PATH: `${bin}:${env.PATH}` } });
  const ended = new Promise((resolve) => login.on('close', resolve));
  let said = '';
  login.stderr.on('data', (piece) => {
    said += piece;
  });
  for (let tries = 0; tries < 600 && !fs.existsSync(opened); tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
  const address = fs.readFileSync(opened, 'utf8').trim();
  assert.match(address, /^http:\/\/127\.0\.0\.1:\d+\/start\/[\w-]+$/, said);
  await signIn(address);
  assert.equal(await ended, 0, said);
});

test('what is written for a client works for that client', PATIENCE, async () => {
  const data = tokens();
  const home = path.join(folder, 'home');
  const at = path.join(home, '.cursor/mcp.json');
  fs.mkdirSync(path.dirname(at), { recursive: true });
  fs.writeFileSync(at, '{\n  // mine\n  "mcpServers": {\n    "other": { "command": "x" }\n  }\n}\n');
  const env = plainEnvironment({ HOME: home, XDG_DATA_HOME: data });
  const { code, out } = await run(gatewayBinary(), ['install', 'cursor', url, '--name', 'gateway', '--no-browser', '--yes'], env);
  assert.equal(code, 0, out);
  const text = fs.readFileSync(at, 'utf8');
  assert.ok(text.includes('// mine') && text.includes('"other"'), text);
  const { mcpServers } = JSON.parse(text.replace('// mine', ''));
  const transport = new StdioOne({ ...mcpServers.gateway, env, stderr: 'pipe' });
  watch(transport.stderr, signIn);
  const client = new ClientOne(WHO, { capabilities: {} });
  await client.connect(transport);
  assert.ok((await client.listTools()).tools.length > 0);
  await client.close();
  assert.match((await run(gatewayBinary(), ['install', 'cursor', url, '--name', 'gateway', '--no-browser', '--yes'], env)).out, /already/);
});

/** Runs a program to its end. */
function run(command, args, env, input = '') {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
  let [out, said] = ['', ''];
  child.stdout.on('data', (piece) => {
    out += piece;
  });
  child.stderr.on('data', (piece) => {
    said += piece;
  });
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, said })));
}
