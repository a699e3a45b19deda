// The gateway of the matrix: two people, two servers, a proxied path, and the rules of rules.mjs. Requests that no client makes are sent
// from here, in the modern era.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { Tokens } from '../eras/token.mjs';
import { startProvider } from '../interop/provider.mjs';
import { answers, freePort, gatewayBinary, plainEnvironment, scratch, start, startGateway } from '../interop/processes.mjs';
import { config } from './rules.mjs';

const MODERN = '2026-07-28';
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

export class Setup {
  constructor(name) {
    this.folder = scratch(name);
    this.log = path.join(this.folder, 'python.log');
    this.servers = [];
    this.people = new Map();
    this.resources = new Map();
  }

  async start() {
    const works = await this.#server('conformance-server', (port) => ['--era', 'both', '--transport', 'http', '--port', port]);
    const books = await this.#server('fixture-server', (port) => ['--http', port, '--name', 'books']);
    const [providerPort, port] = [await freePort(), await freePort()];
    this.base = `http://localhost:${port}`;
    this.provider = await startProvider({
      port: providerPort,
      redirectUris: [`${this.base}/auth/callback/testidp`, `${this.base}/auth/callback`],
      signedOutUris: [`${this.base}/`],
    });
    this.target = books;
    this.env = {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: this.provider.client.id,
      AUTH_TESTIDP_SECRET: this.provider.client.secret,
      AUTH_TESTIDP_ISSUER: this.provider.issuer,
      AUTH_SECRET: randomBytes(33).toString('base64'),
    };
    const mcpServers = { works: { type: 'http', url: `${works}/mcp` }, books: { type: 'http', url: `${books}/mcp` } };
    this.gateway = await startGateway(this.folder, { port, env: this.env, mcp: { mcpServers }, config: config({ target: books }) });
  }

  async #server(program, args) {
    const port = await freePort();
    const binary = path.join(path.dirname(gatewayBinary()), program);
    const server = start(binary, args(String(port)), { log: path.join(this.folder, `${program}.log`) });
    this.servers.push(server);
    const root = `http://127.0.0.1:${port}`;
    await answers(root, server);
    return root;
  }

  async stop() {
    await this.gateway?.stop();
    for (const server of this.servers) await server.stop();
    await this.provider?.stop();
  }

  /** These tools are denied to everybody from now on. */
  deny(tools) {
    fs.writeFileSync(path.join(this.folder, 'config.yaml'), config({ target: this.target, denied: tools }));
  }

  /** Where to reach a path, with a person's token for what it is. */
  async where(at, person) {
    if (!this.people.has(person)) this.people.set(person, new Tokens(this.base, person));
    return { url: this.base + at, token: await this.people.get(person).for(await this.#resourceOf(at)) };
  }

  async #resourceOf(at) {
    if (!this.resources.has(at)) {
      const answer = await fetch(this.base + at, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
      await answer.body?.cancel();
      const metadata = answer.headers.get('www-authenticate')?.match(/resource_metadata="([^"]+)"/)?.[1];
      assert.ok(metadata, `${at}: ${answer.status} without a challenge`);
      this.resources.set(at, (await (await fetch(metadata)).json()).resource);
    }
    return this.resources.get(at);
  }

  /** A request of the modern era: its status, and its message if it has one. */
  async ask(at, person, method, params = {}) {
    const { url, token } = await this.where(at, person);
    const named = params.name ?? params.uri ?? params.taskId;
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': MODERN,
        'mcp-method': method,
        ...(named && { 'mcp-name': inHeader(named) }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method,
        params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': TASKS } },
      }),
    });
    const text = await answer.text();
    const data = text.startsWith('{') ? text : text.split('\n').filter((line) => line.startsWith('data: ')).pop()?.slice(6);
    return { status: answer.status, message: data && JSON.parse(data) };
  }

  /** A GET with a person's token: its status and body. */
  async get(at, person) {
    const { url, token } = await this.where(at, person);
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, text: await answer.text() };
  }

  /** The audit trail as an administrator reads it. */
  audit() {
    const asked = spawnSync(gatewayBinary(), ['audit', 'query', '--json', '--limit', '100000', '--mcp-config', path.join(this.folder, 'mcp.json'), '--config', path.join(this.folder, 'config.yaml')], {
      cwd: this.folder,
      env: plainEnvironment({ BASE_URL: this.base, DB_PATH: path.join(this.folder, 'portunus.sqlite'), ...this.env }),
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    assert.equal(asked.status, 0, asked.stderr);
    return asked.stdout.trim().split('\n').map((line) => JSON.parse(line));
  }
}

/** A name as a header can carry it. */
function inHeader(name) {
  return /^[!-~]+$/.test(name) ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`;
}

/** Tries until it holds; `what` is told of if it never does. */
export async function eventually(what, holds, attempts = 300) {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`it does not come to it: ${what}`);
}
