// What the metadata says is what works: everything advertised succeeds, everything else is refused, and a switch in config.yaml changes
// the document and the behaviour together. How each method and grant succeeds is shown by the libraries, next door.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { SignJWT } from 'jose';

import { CALLBACK, CHALLENGE, allow, newKey, refusal, registrationFor, startAuthorizationServer } from './authorization_server.mjs';

const server = await startAuthorizationServer('honesty');
after(() => server.stop());

// What a server could advertise. Each is tried, advertised or not.
const METHODS = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'client_secret_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'];
const GRANTS = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'password',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:openid:params:grant-type:ciba',
];
const SIGNING = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'RS384', 'RS512', 'PS384', 'PS512', 'ES512'];
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** The members of the document. A new member needs a test of what it promises. */
const MEMBERS = [
  'issuer',
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
  ...['token', 'revocation', 'introspection'].flatMap((name) => [`${name}_endpoint_auth_methods_supported`, `${name}_endpoint_auth_signing_alg_values_supported`]),
  'client_id_metadata_document_supported',
  'scopes_supported',
  'response_types_supported',
  'response_modes_supported',
  'grant_types_supported',
  'code_challenge_methods_supported',
  'prompt_values_supported',
  'authorization_response_iss_parameter_supported',
];
const { metadata } = server;

function post(url, body, headers) {
  return fetch(url, { method: 'POST', headers, body });
}

async function register(at, method, more) {
  const { registration, key } = await registrationFor(method, more);
  const headers = { 'content-type': 'application/json' };
  const answer = await post(at.metadata.registration_endpoint ?? `${at.base}/auth/register`, JSON.stringify(registration), headers);
  return { status: answer.status, body: await answer.json(), key };
}

function authorizationUrl(at, parameters) {
  const url = new URL(at.metadata.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    redirect_uri: CALLBACK,
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    state: 'kept',
    ...parameters,
  });
  return url;
}

async function assertion(client, key, alg) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: client, sub: client, aud: server.base, jti: crypto.randomUUID(), iat: now, exp: now + 60 };
  return new SignJWT(claims).setProtectedHeader({ alg, kid: key.kid }).sign(key.privateKey);
}

/** The form fields and headers by which a client shows who it is. */
async function proof(method, { client_id: id, client_secret: secret }, key, alg = key?.alg) {
  switch (method) {
    case 'client_secret_basic':
      return [{}, { authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}` }];
    case 'client_secret_post':
      return [{ client_id: id, client_secret: secret }, {}];
    case 'private_key_jwt':
      return [{ client_id: id, client_assertion_type: JWT_BEARER, client_assertion: await assertion(id, key, alg) }, {}];
    default:
      return [{ client_id: id }, {}];
  }
}

/** Asks an endpoint about a token that there is not: the answer tells whether the client was let in. */
async function letIn(endpoint, method, client, key, alg) {
  const [fields, headers] = await proof(method, client, key, alg);
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'never issued', token: 'never issued', ...fields });
  const answer = await post(endpoint, form, headers);
  const body = await answer.text();
  const { error } = body ? JSON.parse(body) : {};
  if (error === 'invalid_client' || answer.status === 401) return false;
  assert.ok(answer.status === 200 || error === 'invalid_grant', `${answer.status} ${body}`);
  return true;
}

describe('the document', () => {
  test('has no member that is not looked at here, and the same in both places', async () => {
    assert.deepEqual(Object.keys(metadata).filter((name) => !MEMBERS.includes(name)), []);
    const openid = await (await fetch(`${server.base}/.well-known/openid-configuration`)).json();
    for (const [name, value] of Object.entries(metadata)) assert.deepEqual(openid[name], value, name);
  });

  test('every endpoint is there', async () => {
    for (const name of Object.keys(metadata).filter((name) => name.endsWith('_endpoint'))) {
      const answer = await (name === 'authorization_endpoint' ? fetch(metadata[name]) : post(metadata[name]));
      assert.ok(answer.status >= 400 && answer.status < 500 && ![404, 405].includes(answer.status), `${name}: ${answer.status}`);
    }
  });

  test('algorithms are named exactly where signed assertions are accepted (RFC 8414 section 2)', () => {
    for (const name of ['token', 'revocation', 'introspection']) {
      const accepts = metadata[`${name}_endpoint_auth_methods_supported`].includes('private_key_jwt');
      assert.equal(Array.isArray(metadata[`${name}_endpoint_auth_signing_alg_values_supported`]), accepts, name);
    }
  });
});

describe('authentication methods', () => {
  for (const method of METHODS) {
    const wanted = metadata.token_endpoint_auth_methods_supported.includes(method);
    test(`${method}: ${wanted ? 'works' : 'is refused'}`, { timeout: 60_000 }, async () => {
      const { status, body: client, key } = await register(server, method);
      if (!wanted) {
        assert.equal(status, 400);
        assert.equal(client.error, 'invalid_client_metadata');
        return;
      }
      assert.equal(status, 201);
      for (const name of ['token', 'revocation', 'introspection']) {
        const endpoint = metadata[`${name}_endpoint`];
        const here = metadata[`${name}_endpoint_auth_methods_supported`];
        assert.equal(await letIn(endpoint, method, client, key), here.includes(method), name);
        // By its own method only, but for where a secret stands.
        for (const other of ['none', 'client_secret_basic', 'client_secret_post']) {
          const stolen = { ...client, client_secret: client.client_secret ?? 'none of its own' };
          // A secret proves as much in the other place (FB14); without it no client is let in that has one.
          const isSecret = (one) => one.startsWith('client_secret_');
          if (other !== method) assert.equal(await letIn(endpoint, other, stolen), isSecret(method) && isSecret(other), `${name} with ${other}`);
        }
      }
    });
  }

  const advertised = metadata.token_endpoint_auth_signing_alg_values_supported ?? [];
  for (const alg of SIGNING) {
    const wanted = advertised.includes(alg);
    test(`assertions signed with ${alg}: ${wanted ? 'work' : 'are refused'}`, { timeout: 60_000 }, async () => {
      const key = await newKey(alg);
      const { status, body: client } = await register(server, 'private_key_jwt', { jwks: key.jwks });
      if (!wanted && status === 400) return;
      assert.equal(status, 201);
      assert.equal(await letIn(metadata.token_endpoint, 'private_key_jwt', client, key), wanted);
    });
  }

  test('no algorithm is advertised that is not tried', () => {
    assert.deepEqual(advertised.filter((alg) => !SIGNING.includes(alg)), []);
    assert.deepEqual(metadata.token_endpoint_auth_methods_supported.filter((method) => !METHODS.includes(method)), []);
  });
});

describe('grants', () => {
  for (const grant of GRANTS) {
    const wanted = metadata.grant_types_supported.includes(grant);
    test(`${grant}: ${wanted ? 'is understood' : 'is refused'}`, { timeout: 60_000 }, async () => {
      const { client_id, secret: client_secret } = server.reader;
      const form = {
        grant_type: grant,
        client_id,
        client_secret,
        resource: server.resource,
        ...{ code: 'x', code_verifier: 'x'.repeat(43), redirect_uri: CALLBACK, refresh_token: 'x', assertion: 'x', subject_token: 'x', username: 'alice', password: 'x' },
      };
      const answer = await post(metadata.token_endpoint, new URLSearchParams(form));
      const body = await answer.json();
      const understood = grant === 'client_credentials' ? 'unauthorized_client' : 'invalid_grant';
      assert.deepEqual([answer.status, body.error], [400, wanted ? understood : 'unsupported_grant_type']);
    });
  }

  test('no grant is advertised that is not tried', () => {
    assert.deepEqual(metadata.grant_types_supported.filter((grant) => !GRANTS.includes(grant)), []);
  });
});

describe('the authorization endpoint', () => {
  const errorAt = async (parameters) => {
    const { body: client } = await register(server, 'none');
    const back = await refusal(authorizationUrl(server, { client_id: client.client_id, ...parameters }));
    return back?.searchParams.get('error') ?? null;
  };
  for (const [member, parameter, values] of [
    ['response_types_supported', 'response_type', ['code', 'token', 'id_token', 'code id_token', 'none']],
    ['response_modes_supported', 'response_mode', ['query', 'fragment', 'form_post', 'query.jwt']],
    ['code_challenge_methods_supported', 'code_challenge_method', ['S256', 'plain', 'S512']],
  ]) {
    for (const value of values) {
      const wanted = metadata[member].includes(value);
      test(`${parameter}=${value}: ${wanted ? 'works' : 'is refused'}`, { timeout: 60_000 }, async () => {
        assert.equal((await errorAt({ [parameter]: value })) === null, wanted);
      });
    }
  }

  // The member is not there as long as no prompt is understood.
  for (const prompt of metadata.prompt_values_supported ? ['none', 'login', 'consent', 'select_account', 'create'] : []) {
    const wanted = metadata.prompt_values_supported.includes(prompt);
    test(`prompt=${prompt}: ${wanted ? 'works' : 'is refused'}`, { timeout: 60_000 }, async () => {
      const works = prompt === 'none' ? 'login_required' : null;
      assert.equal(await errorAt({ prompt }), wanted ? works : 'invalid_request');
    });
  }

  test('every scope advertised may be asked for', { timeout: 60_000 }, async () => {
    for (const scope of metadata.scopes_supported) assert.equal(await errorAt({ scope }), null, scope);
    assert.equal(await errorAt({ scope: 'no-such-scope' }), null, 'what nobody has heard of is as good as nothing (FB10)');
    assert.equal(await errorAt({ scope: 'a"b' }), 'invalid_scope');
  });
});

describe('clients of the configuration', () => {
  test('known beforehand: a person signs in, nothing is registered', { timeout: 60_000 }, async () => {
    const verifier = 'v'.repeat(50);
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
    const url = new URL(metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: server.known.client_id,
      redirect_uri: CALLBACK,
      code_challenge: Buffer.from(digest).toString('base64url'),
      code_challenge_method: 'S256',
    });
    const code = (await allow(url)).searchParams.get('code');
    const form = new URLSearchParams({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK });
    const [, headers] = await proof('client_secret_basic', { client_id: server.known.client_id, client_secret: server.known.secret });
    const tokens = await (await post(metadata.token_endpoint, form, headers)).json();
    assert.ok(tokens.access_token, JSON.stringify(tokens));

    // Introspection: its own client sees the token, the trusted one does, another one is told nothing.
    const seenBy = async (method, client_id, client_secret) => {
      const [fields, its] = await proof(method, { client_id, client_secret });
      return (await post(metadata.introspection_endpoint, new URLSearchParams({ token: tokens.access_token, ...fields }), its)).json();
    };
    assert.equal((await seenBy('client_secret_basic', server.known.client_id, server.known.secret)).active, true);
    assert.equal((await seenBy('client_secret_post', server.reader.client_id, server.reader.secret)).active, true);
    const { body: other } = await register(server, 'client_secret_post');
    assert.deepEqual(await seenBy('client_secret_post', other.client_id, other.client_secret), { active: false });
  });
});

describe('registration, managed (RFC 7592)', () => {
  test('the address and the token that are handed out read, change and end it', { timeout: 60_000 }, async () => {
    const { body: made } = await register(server, 'client_secret_basic');
    const authorization = { authorization: `Bearer ${made.registration_access_token}` };
    const manage = (method, more) => fetch(made.registration_client_uri, { method, headers: { ...authorization, ...more?.headers }, body: more?.body });
    const read = await manage('GET');
    assert.equal(read.status, 200);
    assert.equal((await read.json()).client_id, made.client_id);
    const { registration_access_token: _token, registration_client_uri: _uri, client_id_issued_at: _issued, client_secret_expires_at: _expires, ...kept } = made;
    const body = JSON.stringify({ ...kept, client_name: 'Renamed' });
    const changed = await manage('PUT', { headers: { 'content-type': 'application/json' }, body });
    assert.equal(changed.status, 200);
    assert.equal((await changed.json()).client_name, 'Renamed');
    assert.equal((await fetch(made.registration_client_uri)).status, 401);
    assert.equal((await manage('DELETE')).status, 204);
    assert.equal((await manage('GET')).status, 401);
    assert.equal(await letIn(metadata.token_endpoint, 'client_secret_basic', made), false);
  });
});

describe('switches', () => {
  // No name resolves to an address outside here; that of a document is refused before anything is asked of it.
  const document = 'https://client.example/metadata.json';
  for (const [name, clients, { registers, documents }] of [
    ['registration off', { registration: { enabled: false } }, { registers: false, documents: true }],
    ['metadata documents off', { metadata_documents: { enabled: false } }, { registers: true, documents: false }],
    ['both off', { registration: { enabled: false }, metadata_documents: { enabled: false } }, { registers: false, documents: false }],
    ['registration for one family only', { registration: { enabled: false }, families: [{ name: 'ours', client_name: 'Ours', registration: true }] }, { registers: 'Ours', documents: true }],
    ['documents of one domain', { metadata_documents: { domains: ['elsewhere.example'] } }, { registers: true, documents: 'elsewhere' }],
  ]) {
    test(name, { timeout: 120_000 }, async () => {
      const at = await startAuthorizationServer(`switch-${name.replaceAll(' ', '-')}`, { clients });
      try {
        assert.equal(at.metadata.registration_endpoint !== undefined, Boolean(registers));
        assert.equal(at.metadata.client_id_metadata_document_supported, Boolean(documents));
        const openid = await (await fetch(`${at.base}/.well-known/openid-configuration`)).json();
        assert.equal(openid.registration_endpoint, at.metadata.registration_endpoint);
        const anybody = await register(at, 'none');
        assert.equal(anybody.status, registers === true ? 201 : 403, JSON.stringify(anybody.body));
        if (registers === 'Ours') assert.equal((await register(at, 'none', { client_name: 'Ours, at last' })).status, 201);
        if (documents !== true) {
          const answer = await fetch(authorizationUrl(at, { client_id: document }), { redirect: 'manual' });
          assert.equal(answer.headers.get('location'), null);
          assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
          assert.match(await answer.text(), documents ? /of this domain are not accepted/ : /switched off/);
        }
        // The configured ones do not depend on either.
        const { client_id, secret: client_secret } = at.reader;
        assert.equal(await letIn(at.metadata.token_endpoint, 'client_secret_post', { client_id, client_secret }), true);
      } finally {
        await at.stop();
      }
    });
  }
});
