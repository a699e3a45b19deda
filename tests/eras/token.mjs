// Signs a person in and hands out the bare access token, for clients that are given one. The clients' own OAuth flows are tested in
// ../interop; here every client gets in the same way.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';

import { Browser } from '../interop/agent.mjs';

const REDIRECT = 'http://127.0.0.1:43119/callback';

/** A person's access tokens, one for each resource: signed in for at first use, and again when the token has not long to live. */
export class Tokens {
  constructor(base, person = 'alice') {
    this.base = base;
    this.person = person;
    this.held = new Map();
  }

  async for(resource) {
    const held = this.held.get(resource);
    if (held && held.until > Date.now() + 120_000) return held.token;
    const answer = await this.#signIn(resource);
    this.held.set(resource, { token: answer.access_token, client: answer.client, until: Date.now() + answer.expires_in * 1000 });
    return answer.access_token;
  }

  async #signIn(resource) {
    const metadata = await (await fetch(`${this.base}/.well-known/oauth-authorization-server`)).json();
    const client = await post(metadata.registration_endpoint, 'application/json', JSON.stringify({
      client_name: 'eras',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }));
    const verifier = randomBytes(32).toString('base64url');
    const state = randomBytes(16).toString('base64url');
    const authorize = new URL(metadata.authorization_endpoint);
    authorize.search = new URLSearchParams({
      response_type: 'code',
      client_id: client.client_id,
      redirect_uri: REDIRECT,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      resource,
      state,
    });
    const browser = new Browser({ login: this.person, password: 'not looked at', decision: 'allow' });
    const answer = await browser.visit(authorize, REDIRECT);
    assert.equal(answer.searchParams.get('state'), state);
    const tokens = await post(metadata.token_endpoint, 'application/x-www-form-urlencoded', new URLSearchParams({
      grant_type: 'authorization_code',
      code: answer.searchParams.get('code'),
      client_id: client.client_id,
      redirect_uri: REDIRECT,
      code_verifier: verifier,
      resource,
    }).toString());
    return { ...tokens, client: client.client_id };
  }
}

async function post(url, type, body) {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  const text = await answer.text();
  assert.ok(answer.ok, `${url}: ${answer.status} ${text}`);
  return JSON.parse(text);
}
