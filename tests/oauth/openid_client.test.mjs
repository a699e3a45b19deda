// openid-client around the gateway: every authentication method and grant that the metadata advertises. Its callers' rules are
// checked by the library; what the tokens are worth is checked here.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import * as openid from 'openid-client';

import { CALLBACK, INITIALIZE, allow, registrationFor, startAuthorizationServer } from './authorization_server.mjs';

const server = await startAuthorizationServer('openid-client');
after(() => server.stop());

const issuer = new URL(server.base);
/** http, because everything stays on loopback here. */
const options = (algorithm) => ({ algorithm, execute: [openid.allowInsecureRequests] });

function authentication(method, secret, key) {
  const ways = {
    none: () => openid.None(),
    client_secret_basic: () => openid.ClientSecretBasic(secret),
    client_secret_post: () => openid.ClientSecretPost(secret),
    private_key_jwt: () => openid.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }),
  };
  return ways[method]();
}

/** Registers; the library sends the proof of `method` from then on. */
async function register(method, algorithm) {
  const { registration, key } = await registrationFor(method);
  const registered = await openid.dynamicClientRegistration(issuer, registration, openid.None(), options(algorithm));
  const { client_id: id, client_secret: secret } = registered.clientMetadata();
  return openid.discovery(issuer, id, registered.clientMetadata(), authentication(method, secret, key), options(algorithm));
}

async function signIn(config, more = {}) {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const expectedState = openid.randomState();
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    resource: server.resource,
    ...more,
  });
  return openid.authorizationCodeGrant(config, await allow(url), { pkceCodeVerifier, expectedState }, { resource: server.resource });
}

/** What the MCP endpoint says to the token. */
async function use(config, token) {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });
  return openid.fetchProtectedResource(config, token, new URL(server.resource), 'POST', INITIALIZE, headers);
}

const refusedWith = (error, status) => (thrown) => {
  assert.equal(thrown.error, error, thrown.stack);
  assert.equal(thrown.status, status);
  return true;
};

for (const algorithm of ['oauth2', 'oidc']) {
  for (const method of server.metadata.token_endpoint_auth_methods_supported) {
    test(`${method}, found by ${algorithm}: register, authorize, use, refresh, introspect, revoke`, { timeout: 60_000 }, async () => {
      const config = await register(method, algorithm);
      const tokens = await signIn(config);
      assert.equal(tokens.token_type, 'bearer');
      assert.ok(tokens.expiresIn() > 0);
      assert.equal((await use(config, tokens.access_token)).status, 200);

      const next = await openid.refreshTokenGrant(config, tokens.refresh_token, { resource: server.resource });
      assert.notEqual(next.access_token, tokens.access_token);
      assert.notEqual(next.refresh_token, tokens.refresh_token);
      assert.equal((await use(config, next.access_token)).status, 200);

      if (method === 'none') {
        await assert.rejects(openid.tokenIntrospection(config, next.access_token), refusedWith('invalid_client', 401));
      } else {
        const about = await openid.tokenIntrospection(config, next.access_token, { token_type_hint: 'access_token' });
        assert.equal(about.active, true);
        assert.equal(about.client_id, config.clientMetadata().client_id);
        assert.equal(about.aud, server.resource);
        assert.equal(about.iss, server.base);
      }

      await openid.tokenRevocation(config, next.refresh_token, { token_type_hint: 'refresh_token' });
      await assert.rejects(openid.refreshTokenGrant(config, next.refresh_token), refusedWith('invalid_grant', 400));
      await assert.rejects(use(config, next.access_token), (thrown) => {
        assert.equal(thrown.code, 'OAUTH_WWW_AUTHENTICATE_CHALLENGE');
        assert.equal(thrown.cause[0].parameters.error, 'invalid_token');
        return true;
      });
      if (method !== 'none') assert.equal((await openid.tokenIntrospection(config, next.access_token)).active, false);
    });
  }
}

describe('client_credentials', () => {
  for (const [method, { client_id: id, secret, key }] of Object.entries(server.services)) {
    test(method, { timeout: 60_000 }, async () => {
      const config = await openid.discovery(issuer, id, undefined, authentication(method, secret, key), options('oauth2'));
      const tokens = await openid.clientCredentialsGrant(config, { resource: server.resource, scope: 'mcp' });
      assert.equal(tokens.refresh_token, undefined);
      assert.equal(tokens.scope, 'mcp');
      assert.equal((await use(config, tokens.access_token)).status, 200);
      const about = await openid.tokenIntrospection(config, tokens.access_token);
      assert.equal(about.active, true);
      assert.equal(about.client_id, id);
      await openid.tokenRevocation(config, tokens.access_token);
      assert.equal((await openid.tokenIntrospection(config, tokens.access_token)).active, false);
    });
  }

  test('a registered client may not', { timeout: 60_000 }, async () => {
    const config = await register('client_secret_basic', 'oauth2');
    await assert.rejects(openid.clientCredentialsGrant(config, { resource: server.resource }), refusedWith('unauthorized_client', 400));
  });
});

describe('refusals', () => {
  test('a person who denies', { timeout: 60_000 }, async () => {
    const config = await register('none', 'oauth2');
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const code_challenge = await openid.calculatePKCECodeChallenge(pkceCodeVerifier);
    const url = openid.buildAuthorizationUrl(config, { redirect_uri: CALLBACK, code_challenge, code_challenge_method: 'S256', state: 'kept' });
    const answer = await allow(url, { decision: 'deny' });
    await assert.rejects(openid.authorizationCodeGrant(config, answer, { pkceCodeVerifier, expectedState: 'kept' }), (thrown) => {
      assert.equal(thrown.error, 'access_denied');
      return true;
    });
  });

  test('a wrong secret', { timeout: 60_000 }, async () => {
    const config = await register('client_secret_basic', 'oauth2');
    const id = config.clientMetadata().client_id;
    const thief = await openid.discovery(issuer, id, undefined, openid.ClientSecretBasic('guessed'), options('oauth2'));
    await assert.rejects(openid.refreshTokenGrant(thief, 'whatever'), (thrown) => {
      assert.equal(thrown.code, 'OAUTH_WWW_AUTHENTICATE_CHALLENGE');
      assert.equal(thrown.cause[0].scheme, 'basic');
      return true;
    });
  });

  test('a code for another verifier, and a code a second time', { timeout: 60_000 }, async () => {
    const config = await register('client_secret_post', 'oauth2');
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const code_challenge = await openid.calculatePKCECodeChallenge(pkceCodeVerifier);
    const url = openid.buildAuthorizationUrl(config, { redirect_uri: CALLBACK, code_challenge, code_challenge_method: 'S256', state: 's' });
    const answer = await allow(url);
    const redeem = (verifier) => openid.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier, expectedState: 's' });
    await assert.rejects(redeem(openid.randomPKCECodeVerifier()), refusedWith('invalid_grant', 400));
    const tokens = await redeem(pkceCodeVerifier);
    await assert.rejects(redeem(pkceCodeVerifier), refusedWith('invalid_grant', 400));
    await assert.rejects(use(config, tokens.access_token), 'what the code gave is taken back');
  });
});
