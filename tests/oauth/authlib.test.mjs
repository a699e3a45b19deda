// Python's Authlib around the gateway: every authentication method and grant that the metadata advertises. What Authlib does stands in
// authlib_client.py; this file signs people in and judges.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';

import { CALLBACK, HERE, INITIALIZE, allow, registrationFor, startAuthorizationServer } from './authorization_server.mjs';

const server = await startAuthorizationServer('authlib');
after(() => server.stop());

/** Runs the Python side to its end; answers with what it saw. */
async function live(client, service) {
  const python = spawn(process.env.PYTHON ?? 'python3', [path.join(HERE, 'authlib_client.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const send = (message) => python.stdin.write(`${JSON.stringify(message)}\n`);
  send({ metadata: server.metadata, resource: server.resource, initialize: INITIALIZE, client, service });
  try {
    for await (const line of createInterface({ input: python.stdout })) {
      const { open, done } = JSON.parse(line);
      if (done) return done;
      send({ callback: (await allow(open)).href });
    }
  } finally {
    python.kill();
  }
  throw new Error('Authlib ended before it was done; its words stand above');
}

for (const method of server.metadata.token_endpoint_auth_methods_supported) {
  test(`${method}: authorize, use, refresh, introspect, revoke`, { timeout: 60_000 }, async () => {
    const { registration, key } = await registrationFor(method);
    const answer = await fetch(server.metadata.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(registration),
    });
    assert.equal(answer.status, 201);
    const { client_id: id, client_secret: secret } = await answer.json();
    const seen = await live({ id, secret, method, redirect_uri: CALLBACK, pem: key?.pem, kid: key?.kid, alg: key?.alg }, false);
    assert.equal(seen.first.token_type, 'Bearer');
    assert.ok(seen.first.expires_in > 0);
    assert.equal(seen.first_use, 200);
    assert.notEqual(seen.next.access_token, seen.first.access_token);
    assert.notEqual(seen.next.refresh_token, seen.first.refresh_token);
    assert.equal(seen.next_use, 200);
    if (method === 'none') {
      assert.equal(seen.about.error, 'invalid_client');
    } else {
      assert.equal(seen.about.active, true);
      assert.equal(seen.about.client_id, id);
      assert.equal(seen.about.aud, server.resource);
    }
    assert.equal(seen.revoked, 200);
    assert.equal(seen.revoked_use, 401);
    assert.equal(seen.refresh_after, 'invalid_grant');
  });
}

for (const [method, { client_id: id, secret, key }] of Object.entries(server.services)) {
  test(`client_credentials with ${method}`, { timeout: 60_000 }, async () => {
    const seen = await live({ id, secret, method, pem: key?.pem, kid: key?.kid, alg: key?.alg }, true);
    assert.equal(seen.first.refresh_token, undefined);
    assert.equal(seen.first.scope, 'mcp');
    assert.equal(seen.first_use, 200);
    assert.equal(seen.about.active, true);
    assert.equal(seen.about.client_id, id);
    assert.equal(seen.revoked, 200);
    assert.equal(seen.revoked_use, 401);
    assert.deepEqual(seen.about_after, { active: false });
  });
}
