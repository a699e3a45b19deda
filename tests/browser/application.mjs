// A native application, which a person connects through a browser: the requests it makes itself, and the loopback port where it waits for the
// browser to come back. Who presses the buttons stands in browser.test.mjs and ../nodes/browser.test.mjs; the browser is in chromium.mjs.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';

import { freePort } from '../interop/processes.mjs';
import { PATIENCE } from './chromium.mjs';

/** A native application: registers itself, opens the browser, and listens on a loopback port for the answer. */
export class Application {
  static async listen(name) {
    const made = new Application();
    const port = await freePort();
    made.name = name;
    made.redirectUri = `http://127.0.0.1:${port}/callback`;
    made.server = http.createServer((request, response) => {
      const url = new URL(request.url, made.redirectUri);
      if (url.pathname === '/callback') made.arrived?.(url);
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><link rel="icon" href="data:,"><title>Back</title><h1>You can close this window.</h1>');
    });
    await new Promise((resolve, reject) => made.server.listen(port, '127.0.0.1', resolve).once('error', reject));
    return made;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** From a refused call to the authorization server's metadata, as RFC 9728 and RFC 8414 lay the way. */
  async discover(resource) {
    const refused = await post(resource, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
    assert.equal(refused.status, 401);
    const challenge = refused.headers.get('www-authenticate');
    const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge)[1];
    // The challenge says what this call needs; clients ask for that before all that the resource has.
    this.scope = / scope="([^"]+)"/.exec(challenge)[1];
    this.resource = await (await fetch(metadataUrl)).json();
    const issuer = this.resource.authorization_servers[0];
    this.metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
    assert.equal(this.metadata.issuer, issuer);
  }

  async register() {
    const answer = await fetch(this.metadata.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: this.name,
        redirect_uris: [this.redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      }),
    });
    assert.equal(answer.status, 201);
    this.clientId = (await answer.json()).client_id;
  }

  /** The URL to open, and the answer to come; where the browser is, `whereabouts` says, should it not come. */
  authorization(whereabouts) {
    this.verifier = randomBytes(32).toString('base64url');
    this.state = randomBytes(16).toString('base64url');
    const url = new URL(this.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope: this.scope,
      state: this.state,
      resource: this.resource.resource,
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }).toString();
    const answer = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no callback; the browser is at ${whereabouts()}`)), PATIENCE);
      this.arrived = (back) => {
        clearTimeout(late);
        resolve(back);
      };
    });
    answer.catch(() => {});
    return { url: url.href, answer };
  }

  async redeem(back) {
    assert.equal(back.searchParams.get('state'), this.state);
    assert.equal(back.searchParams.get('iss'), this.metadata.issuer);
    const answer = await fetch(this.metadata.token_endpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: back.searchParams.get('code'),
        redirect_uri: this.redirectUri,
        client_id: this.clientId,
        code_verifier: this.verifier,
        resource: this.resource.resource,
      }),
    });
    assert.equal(answer.status, 200);
    return answer.json();
  }
}

export function post(url, body, headers = {}) {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
  });
}

/** The one JSON-RPC answer of a response, whether it came as JSON or as a stream. */
export async function answerIn(response) {
  const text = await response.text();
  if (response.headers.get('content-type').startsWith('application/json')) return JSON.parse(text);
  return text
    .split('\n')
    .filter((line) => line.startsWith('data:') && line.length > 6)
    .map((line) => JSON.parse(line.slice(5)))
    .find((message) => 'result' in message || 'error' in message);
}
