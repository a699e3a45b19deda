// Everything around the pairs: the servers on HTTP, an identity provider, and the gateway with all servers behind it. Who meets whom is in
// peers.test.mjs; how processes are started, in ../interop/processes.mjs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { Tokens } from '../eras/token.mjs';
import { startProvider } from '../interop/provider.mjs';
import { answers, freePort, scratch, start, startEverything, startGateway } from '../interop/processes.mjs';
import { SERVERS } from './servers.mjs';

export class Setup {
  constructor() {
    this.folder = scratch('peers');
    this.http = new Map();
  }

  async start() {
    // One after the other: a port is free only until a process listens on it.
    for (const server of SERVERS.filter(({ transport }) => transport === 'http')) this.http.set(server.name, await this.#startHttp(server));
    const [providerPort, port] = [await freePort(), await freePort()];
    const base = `http://localhost:${port}`;
    this.provider = await startProvider({
      port: providerPort,
      redirectUris: [`${base}/auth/callback/testidp`, `${base}/auth/callback`],
      signedOutUris: [`${base}/`],
    });
    this.gateway = await startGateway(this.folder, {
      port,
      env: {
        AUTH_PROVIDER: 'testidp',
        AUTH_TESTIDP_ID: this.provider.client.id,
        AUTH_TESTIDP_SECRET: this.provider.client.secret,
        AUTH_TESTIDP_ISSUER: this.provider.issuer,
        AUTH_SECRET: randomBytes(33).toString('base64'),
        LOG_LEVEL: 'debug',
      },
      mcp: { mcpServers: Object.fromEntries(SERVERS.map((server) => [server.name, this.#configured(server)])) },
      config: '',
    });
    this.base = base;
    this.tokens = new Tokens(base);
  }

  async #startHttp(server) {
    if (server.name === 'everything-http') return startEverything(this.folder);
    const port = await freePort();
    const process_ = start(server.command, [...server.args, '--port', String(port)], { log: path.join(this.folder, `${server.name}.log`) });
    const url = `http://127.0.0.1:${port}/mcp`;
    await answers(url, process_);
    return { url, stop: process_.stop };
  }

  #configured(server) {
    return server.transport === 'http' ? { url: this.http.get(server.name).url, type: 'http' } : this.directly(server);
  }

  directly({ name, transport, command, args, silent }) {
    return transport === 'http' ? { url: this.http.get(name).url, silent } : { command, args };
  }

  /** Where a server is behind the gateway: with a token for it, or with nothing for clients that sign in by themselves. */
  async throughGateway({ name, silent }, signsIn) {
    const url = `${this.base}/mcp/${name}`;
    return { url, silent, ...(signsIn ? { redirect: signsIn } : { token: await this.tokens.for(url) }) };
  }

  async stop() {
    await this.gateway?.stop();
    for (const server of this.http.values()) await server.stop();
    await this.provider?.stop();
  }

  /** To be asked when all is done. */
  assertUnharmed() {
    const written = fs.readFileSync(this.gateway.log, 'utf8');
    assert.doesNotMatch(written, /panicked/);
    for (const { token } of this.tokens.held.values()) assert.ok(!written.includes(token), 'a token was logged');
    assert.deepEqual(this.provider.errors, []);
  }
}
