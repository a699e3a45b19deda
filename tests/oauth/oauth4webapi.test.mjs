// oauth4webapi: the library that checks every answer against the specifications and refuses what does not fit. Each test calls the
// strict half of a pair (`process…`, `validate…`) on what the gateway answered.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import * as oauth from 'oauth4webapi';

import { CALLBACK, INITIALIZE, allow, initialize, refusal, registrationFor, startAuthorizationServer } from './authorization_server.mjs';

const server = await startAuthorizationServer('oauth4webapi');
after(() => server.stop());

const issuer = new URL(server.base);
const plain = { [oauth.allowInsecureRequests]: true };
const forResource = { ...plain, additionalParameters: { resource: server.resource } };

const discover = async (algorithm) => oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...plain }));
const as = await discover('oauth2');

function authentication(method, secret, key) {
  const ways = {
    none: () => oauth.None(),
    client_secret_basic: () => oauth.ClientSecretBasic(secret),
    client_secret_post: () => oauth.ClientSecretPost(secret),
    private_key_jwt: () => oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }),
  };
  return ways[method]();
}

async function register(method, more) {
  const { registration, key } = await registrationFor(method, more);
  const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, registration, plain));
  assert.equal(client.token_endpoint_auth_method, method);
  return { client, auth: authentication(method, client.client_secret, key) };
}

/** The answer of the authorization endpoint, and what the client kept for it. */
async function authorize(client, { decision, refused = false, ...more } = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(as.authorization_endpoint);
  const asked = {
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    response_type: 'code',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    resource: server.resource,
    ...more,
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  return { answer: await (refused ? refusal(url) : allow(url, { decision })), state, verifier };
}

async function redeem({ client, auth }, { answer, state, verifier }) {
  const checked = oauth.validateAuthResponse(as, client, answer, state);
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, checked, CALLBACK, verifier, forResource);
  return oauth.processAuthorizationCodeResponse(as, client, response);
}

async function refresh({ client, auth }, token, more = forResource) {
  return oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, token, more));
}

async function introspect({ client, auth }, token) {
  return oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token, plain));
}

async function revoke({ client, auth }, token) {
  return oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token, plain));
}

const saying = (error, status) => (thrown) => {
  assert.ok(thrown instanceof oauth.ResponseBodyError, thrown.stack);
  assert.equal(thrown.error, error);
  assert.equal(thrown.status, status);
  return true;
};

describe('metadata', () => {
  for (const algorithm of ['oauth2', 'oidc']) {
    test(`by ${algorithm}`, async () => {
      const found = await discover(algorithm);
      assert.equal(found.issuer, server.base);
      assert.equal(found.authorization_response_iss_parameter_supported, true);
    });
  }

  for (const at of ['/mcp', '/mcp/one']) {
    test(`of the resource ${at}`, async () => {
      const resource = new URL(server.base + at);
      const found = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, plain));
      assert.deepEqual(found.authorization_servers, [server.base]);
    });
  }
});

for (const method of server.metadata.token_endpoint_auth_methods_supported) {
  test(`${method}: register, authorize, redeem, refresh, introspect, revoke`, { timeout: 60_000 }, async () => {
    const who = await register(method);
    const tokens = await redeem(who, await authorize(who.client));
    const next = await refresh(who, tokens.refresh_token);
    if (method !== 'none') {
      assert.equal((await introspect(who, next.access_token)).active, true);
      assert.equal((await introspect(who, next.refresh_token)).active, true);
    }
    await revoke(who, next.access_token);
    assert.equal((await initialize(server.resource, next.access_token)).status, 401);
    if (method !== 'none') assert.equal((await introspect(who, next.refresh_token)).active, true, 'an access token ends alone');
    await revoke(who, next.refresh_token);
    await assert.rejects(refresh(who, next.refresh_token), saying('invalid_grant', 400));
    assert.equal(await revoke(who, 'never issued'), undefined);
    if (method !== 'none') assert.deepEqual(await introspect(who, next.refresh_token), { active: false });
  });
}

for (const [method, service] of Object.entries(server.services)) {
  test(`client_credentials with ${method}`, { timeout: 60_000 }, async () => {
    const client = { client_id: service.client_id };
    const auth = authentication(method, service.secret, service.key);
    const response = await oauth.clientCredentialsGrantRequest(as, client, auth, { resource: server.resource }, plain);
    const tokens = await oauth.processClientCredentialsResponse(as, client, response);
    assert.equal(tokens.token_type, 'bearer');
    const answer = await oauth.protectedResourceRequest(
      tokens.access_token,
      'POST',
      new URL(server.resource),
      new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' }),
      INITIALIZE,
      plain,
    );
    assert.equal(answer.status, 200);
    assert.equal((await introspect({ client, auth }, tokens.access_token)).active, true);
  });
}

describe('the authorization response', () => {
  test('a refusal has state and iss, too', { timeout: 60_000 }, async () => {
    const { client } = await register('none');
    const { answer, state } = await authorize(client, { decision: 'deny' });
    assert.throws(() => oauth.validateAuthResponse(as, client, answer, state), (thrown) => {
      assert.ok(thrown instanceof oauth.AuthorizationResponseError, thrown.stack);
      assert.equal(thrown.error, 'access_denied');
      return true;
    });
  });

  for (const [problem, asked, error] of [
    ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
    ['no PKCE', { code_challenge: '' }, 'invalid_request'],
    ['plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a scope that is none', { scope: 'a"b' }, 'invalid_scope'],
    ['a resource that there is not', { resource: 'https://elsewhere.example/mcp' }, 'invalid_target'],
  ]) {
    test(`${problem}: ${error}`, { timeout: 60_000 }, async () => {
      const { client } = await register('none');
      const { answer, state } = await authorize(client, { ...asked, refused: true });
      assert.throws(() => oauth.validateAuthResponse(as, client, answer, state), (thrown) => {
        assert.equal(thrown.error, error, thrown.stack);
        return true;
      });
    });
  }
});

describe('errors as types', () => {
  test('no token: a challenge that names where to go on', async () => {
    const asking = oauth.protectedResourceRequest('not-a-token', 'POST', new URL(server.resource), new Headers(), INITIALIZE, plain);
    await assert.rejects(asking, (thrown) => {
      assert.ok(thrown instanceof oauth.WWWAuthenticateChallengeError, thrown.stack);
      const [{ scheme, parameters }] = thrown.cause;
      assert.equal(scheme, 'bearer');
      assert.equal(parameters.error, 'invalid_token');
      assert.equal(parameters.resource_metadata, `${server.base}/.well-known/oauth-protected-resource/mcp`);
      assert.ok(parameters.scope);
      return true;
    });
  });

  test('a wrong secret in the header: 401 with a Basic challenge', async () => {
    const { client } = await register('client_secret_basic');
    await assert.rejects(refresh({ client, auth: oauth.ClientSecretBasic('guessed') }, 'x'), (thrown) => {
      assert.ok(thrown instanceof oauth.WWWAuthenticateChallengeError, thrown.stack);
      assert.equal(thrown.status, 401);
      assert.equal(thrown.cause[0].scheme, 'basic');
      return true;
    });
  });

  test('a wrong secret in the body: invalid_client', async () => {
    const { client } = await register('client_secret_post');
    await assert.rejects(refresh({ client, auth: oauth.ClientSecretPost('guessed') }, 'x'), saying('invalid_client', 401));
  });

  test('a refresh token of somebody else: invalid_grant, and it goes on working', { timeout: 60_000 }, async () => {
    const [owner, thief] = [await register('none'), await register('none')];
    const tokens = await redeem(owner, await authorize(owner.client));
    await assert.rejects(refresh(thief, tokens.refresh_token), saying('invalid_grant', 400));
    await assert.rejects(revoke(thief, tokens.refresh_token), (thrown) => thrown instanceof oauth.ResponseBodyError);
    assert.ok((await refresh(owner, tokens.refresh_token)).access_token);
  });

  test('a refresh for a resource that was not granted: invalid_target', { timeout: 60_000 }, async () => {
    const who = await register('none');
    const tokens = await redeem(who, await authorize(who.client));
    const elsewhere = { ...plain, additionalParameters: { resource: 'https://elsewhere.example/mcp' } };
    await assert.rejects(refresh(who, tokens.refresh_token, elsewhere), saying('invalid_target', 400));
  });

  test('metadata that cannot be registered', async () => {
    const asking = async (more) => {
      const { registration } = await registrationFor('none', more);
      return oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, registration, plain));
    };
    await assert.rejects(asking({ redirect_uris: ['http://not-loopback.example/cb'] }), saying('invalid_redirect_uri', 400));
    await assert.rejects(asking({ token_endpoint_auth_method: 'client_secret_jwt' }), saying('invalid_client_metadata', 400));
  });
});
