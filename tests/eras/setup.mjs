// Everything around a test file here: the servers on HTTP, an identity provider, and the gateway with all servers behind it. What is
// tested is in the files named *.test.mjs; how processes are started, in ../interop/processes.mjs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { startProvider } from '../interop/provider.mjs';
import { EVERYTHING, freePort, scratch, startEverything, startGateway } from '../interop/processes.mjs';
import { APART, FIXTURES, startHttp, stdioCommand } from './fixtures.mjs';
import { Tokens } from './token.mjs';

/** server-everything, by the names it has in the gateway's configuration. */
export const REFERENCE = ['stdio', 'http'].map((transport) => ({ name: `everything-${transport}`, era: 'legacy', transport }));

export class Setup {
  constructor(name) {
    this.folder = scratch(name);
    this.log = path.join(this.folder, 'python.log');
    this.http = new Map();
    this.people = new Map();
  }

  async start() {
    for (const fixture of FIXTURES.filter(({ transport }) => transport === 'http')) this.http.set(fixture.name, await startHttp(fixture, this.folder));
    this.http.set('everything-http', await startEverything(this.folder));
    const [providerPort, port] = [await freePort(), await freePort()];
    this.base = `http://localhost:${port}`;
    this.provider = await startProvider({
      port: providerPort,
      redirectUris: [`${this.base}/auth/callback/testidp`, `${this.base}/auth/callback`],
      signedOutUris: [`${this.base}/`],
    });
    this.gateway = await this.startGateway(this.folder, {
      port,
      env: {
        AUTH_PROVIDER: 'testidp',
        AUTH_TESTIDP_ID: this.provider.client.id,
        AUTH_TESTIDP_SECRET: this.provider.client.secret,
        AUTH_TESTIDP_ISSUER: this.provider.issuer,
        AUTH_SECRET: randomBytes(33).toString('base64'),
        LOG_LEVEL: 'debug',
      },
      mcp: {
        mcpServers: Object.fromEntries(
          [...FIXTURES, APART, ...REFERENCE].map(({ isolation, ...server }) => [server.name, { ...inConfiguration(this.directly(server)), ...(isolation && { isolation }) }]),
        ),
      },
      config: '',
    });
  }

  /** One gateway, unless a setup has something else in its place: started like this, with a `baseUrl`, its `logs` and a way to stop it. */
  async startGateway(folder, options) {
    const gateway = await startGateway(folder, options);
    return { ...gateway, logs: [gateway.log] };
  }

  async stop() {
    await this.gateway?.stop();
    for (const server of this.http.values()) await server.stop();
    await this.provider?.stop();
  }

  /** Where to reach a server without the gateway. */
  directly(server) {
    return server.transport === 'stdio' ? command(server) : { url: this.http.get(server.name).url };
  }

  /** Where to reach a path of the gateway, with a person's token for it. Applications that sign in by themselves have names. */
  async throughGateway(at, person = 'alice', application = '') {
    const whose = `${person} ${application}`;
    if (!this.people.has(whose)) this.people.set(whose, new Tokens(this.base, person));
    const url = this.base + at;
    return { url, token: await this.people.get(whose).for(url) };
  }

  /** To be asked when all is done. */
  assertUnharmed() {
    const written = this.gateway.logs.map((log) => fs.readFileSync(log, 'utf8')).join('');
    assert.doesNotMatch(written, /panicked/);
    for (const tokens of this.people.values()) for (const { token } of tokens.held.values()) assert.ok(!written.includes(token), 'a token was logged');
    assert.deepEqual(this.provider.errors, []);
  }
}

function command(server) {
  return server.name.startsWith('everything') ? { command: process.execPath, args: [EVERYTHING, 'stdio'] } : stdioCommand(server);
}

function inConfiguration(where) {
  return where.url ? { ...where, type: 'http' } : where;
}
