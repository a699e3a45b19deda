// The `auth/` scenarios of the official conformance runner, against our authorization server. The runner plays them with servers of its
// own, inside its process, and judges the client; it has no option to use another server. So each is played here with the gateway as
// the server, under the runner's name for it, and what its checks demand of a client is shown to be possible, or what they warn of
// not to happen. The client is @modelcontextprotocol/client; where a scenario is about a server unlike ours, `tamper` makes ours look so
// to the client.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, test } from 'node:test';

import { Client, ClientCredentialsProvider, PrivateKeyJwtProvider, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import * as oauth from 'oauth4webapi';

import { Keychain } from '../interop/sign_in.mjs';
import { CALLBACK, CHALLENGE, HERE, allow, initialize, refusal, registrationFor, startAuthorizationServer } from './authorization_server.mjs';

const server = await startAuthorizationServer('scenarios');
after(() => server.stop());

const PRM = '/.well-known/oauth-protected-resource';
const AS = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';
const NOT_FOUND = () => new Response('', { status: 404 });

/** A client's half that writes down every URL it opens for its person. */
class Person extends Keychain {
  constructor(name, { metadata = {}, client } = {}) {
    super({ name, redirectUrl: CALLBACK });
    this.more = metadata;
    this.client = client;
    this.opened = [];
  }

  get clientMetadata() {
    return { ...super.clientMetadata, ...this.more };
  }

  redirectToAuthorization(url) {
    this.opened.push(url);
    return super.redirectToAuthorization(url);
  }
}

/** Connects and lists the tools. `tamper` sees each answer with its URL and may put another in its place. */
async function connect(keys, { tamper = (answer) => answer, at = server.resource } = {}) {
  const requests = [];
  const recording = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const answer = await fetch(input, init);
    requests.push({ method: init?.method ?? 'GET', url, path: url.pathname, headers: new Headers(init?.headers), body: init?.body, status: answer.status });
    return tamper(answer, url, init);
  };
  const open = () => new StreamableHTTPClientTransport(new URL(at), { authProvider: keys, fetch: recording });
  let client = new Client({ name: 'scenarios', version: '1.0.0' }, { capabilities: {} });
  let transport = open();
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(keys.answer.searchParams);
    client = new Client({ name: 'scenarios', version: '1.0.0' }, { capabilities: {} });
    transport = open();
    await client.connect(transport);
  }
  const { tools } = await client.listTools();
  assert.ok(tools.length > 0);
  const form = (grant) => requests.map(({ body }) => new URLSearchParams(String(body ?? ''))).find((body) => body.get('grant_type') === grant);
  const first = (wanted) => requests.find((request) => request.path === wanted);
  return { client, transport, requests, form, first, close: () => client.close() };
}

/** Makes the 401 of the MCP endpoint say something else. */
const challenge = (change) => (answer, url) => {
  const words = answer.headers.get('www-authenticate');
  if (answer.status !== 401 || !url.pathname.startsWith('/mcp') || !words) return answer;
  const headers = new Headers(answer.headers);
  const changed = change(words);
  if (changed) headers.set('www-authenticate', changed);
  else headers.delete('www-authenticate');
  return new Response(answer.body, { status: 401, headers });
};

const hiding = (...paths) => (answer, url) => (paths.some((hidden) => url.pathname.startsWith(hidden)) ? NOT_FOUND() : answer);

/** The runner's checks on `resource` (RFC 8707), the same in all of its flows. */
function checkResource({ form }, keys, resource = server.resource) {
  assert.equal(keys.opened[0].searchParams.get('resource'), resource);
  assert.equal(form('authorization_code').get('resource'), resource);
}

const played = new Set();
function scenario(name, ...more) {
  played.add(`auth/${name}`);
  test(`auth/${name}`, { timeout: 60_000 }, ...more);
}

scenario('metadata-default', async () => {
  const keys = new Person('metadata-default');
  const run = await connect(keys);
  assert.ok(run.first(`${PRM}/mcp`), 'the path of the challenge');
  assert.equal(run.first(PRM), undefined, 'never the root');
  assert.equal(run.first(AS).status, 200);
  assert.equal(run.first('/auth/register').status, 201);
  checkResource(run, keys);
  await run.close();
});

scenario('metadata-var1', async () => {
  const keys = new Person('metadata-var1');
  const run = await connect(keys, { tamper: (answer, url) => challenge(() => undefined)(hiding(AS)(answer, url), url) });
  assert.equal(run.first(`${PRM}/mcp`).status, 200, 'found without the challenge');
  assert.equal(run.first(OPENID).status, 200, 'found where OpenID has it');
  checkResource(run, keys);
  await run.close();
});

scenario('metadata-var2', async () => {
  const keys = new Person('metadata-var2');
  const run = await connect(keys, { tamper: (answer, url) => challenge(() => undefined)(hiding(`${PRM}/`)(answer, url), url) });
  assert.equal(run.first(PRM).status, 200, 'found at the root');
  checkResource(run, keys);
  await run.close();
});

scenario('metadata-var3', async () => {
  // The location is the challenge's to say, so clients need not guess.
  const refused = await initialize(`${server.base}/mcp/one`);
  const [, where] = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate'));
  const keys = new Person('metadata-var3');
  const run = await connect(keys, { at: `${server.base}/mcp/one` });
  assert.ok(run.first(new URL(where).pathname));
  checkResource(run, keys, `${server.base}/mcp/one`);
  await run.close();
});

scenario('2025-03-26-oauth-metadata-backcompat', async () => {
  const keys = new Person('metadata-backcompat');
  const run = await connect(keys, { tamper: (answer, url) => challenge(() => undefined)(hiding(PRM)(answer, url), url) });
  assert.equal(run.first(AS).status, 200, 'at the root of the MCP server');
  assert.equal(run.first('/auth/token').status, 200);
  await run.close();
});

scenario('2025-03-26-oauth-endpoint-fallback', async () => {
  const keys = new Person('endpoint-fallback');
  const run = await connect(keys, { tamper: (answer, url) => challenge(() => undefined)(hiding('/.well-known/')(answer, url), url) });
  assert.equal(run.first('/register').status, 201);
  assert.equal(keys.opened[0].pathname, '/authorize');
  assert.equal(run.first('/token').status, 200);
  await run.close();
});

scenario('scope-from-www-authenticate', async () => {
  const [, scope] = /scope="([^"]+)"/.exec((await initialize(server.resource)).headers.get('www-authenticate'));
  const keys = new Person('scope-from-www-authenticate');
  const run = await connect(keys);
  const asked = keys.opened[0].searchParams.get('scope').split(' ').filter((word) => word !== 'offline_access');
  assert.deepEqual(asked, scope.split(' '));
  assert.deepEqual(keys.held.scope.split(' ').filter((word) => word !== 'offline_access'), scope.split(' '));
  await run.close();
});

scenario('scope-from-scopes-supported', async () => {
  const document = await (await fetch(`${server.base}${PRM}/mcp`)).json();
  const keys = new Person('scope-from-scopes-supported');
  const run = await connect(keys, { tamper: challenge((words) => words.replace(/,?\s*scope="[^"]*"/, '')) });
  const asked = keys.opened[0].searchParams.get('scope').split(' ').filter((word) => word !== 'offline_access');
  assert.deepEqual(asked, document.scopes_supported);
  await run.close();
});

scenario('scope-omitted-when-undefined', async () => {
  const keys = new Person('scope-omitted-when-undefined');
  const run = await connect(keys, {
    tamper: async (answer, url) => {
      if (!url.pathname.startsWith('/.well-known/')) return challenge((words) => words.replace(/,?\s*scope="[^"]*"/, ''))(answer, url);
      const { scopes_supported: _, ...document } = await answer.json();
      return Response.json(document, { status: answer.status });
    },
  });
  assert.equal(keys.opened[0].searchParams.get('scope'), null);
  assert.ok(keys.held.scope, 'we say what we gave instead');
  await run.close();
});

scenario('scope-step-up', async () => {
  const keys = new Person('scope-step-up');
  const run = await connect(keys, { tamper: challenge((words) => words.replace(/scope="[^"]*"/, 'scope="one"')) });
  const message = { message: 'hello' };
  assert.equal((await run.client.callTool({ name: 'one_echo', arguments: message })).content[0].text, 'Echo: hello');
  await assert.rejects(run.client.callTool({ name: 'two_echo', arguments: message }), UnauthorizedError);
  await run.transport.finishAuth(keys.answer.searchParams);
  assert.equal(keys.opened.length, 2);
  const again = keys.opened[1].searchParams.get('scope').split(' ');
  for (const scope of ['one', 'two']) assert.ok(again.includes(scope), `${scope} in ${again}`);
  for (const name of ['one_echo', 'two_echo']) assert.equal((await run.client.callTool({ name, arguments: message })).content[0].text, 'Echo: hello');
  await run.close();
});

scenario('scope-retry-limit', async () => {
  // What a challenge asks for is enough: a client that follows it is not sent round again.
  const keys = new Person('scope-retry-limit');
  const run = await connect(keys);
  for (const name of ['one_echo', 'two_echo']) await run.client.callTool({ name, arguments: { message: 'hello' } });
  assert.equal(keys.opened.length, 1);
  await run.close();
});

for (const [name, method] of [
  ['token-endpoint-auth-basic', 'client_secret_basic'],
  ['token-endpoint-auth-post', 'client_secret_post'],
  ['token-endpoint-auth-none', 'none'],
]) {
  scenario(name, async () => {
    const keys = new Person(name, { metadata: { token_endpoint_auth_method: method } });
    const run = await connect(keys);
    const request = run.first('/auth/token');
    const form = run.form('authorization_code');
    assert.equal(request.headers.get('authorization')?.startsWith('Basic ') ?? false, method === 'client_secret_basic');
    assert.equal(form.has('client_secret'), method === 'client_secret_post');
    assert.equal(request.status, 200);
    await run.close();
  });
}

scenario('pre-registration', async () => {
  const { client_id, secret } = server.known;
  const client = { client_id, client_secret: secret, token_endpoint_auth_method: 'client_secret_basic', issuer: server.base };
  const keys = new Person('pre-registration', { client, metadata: { token_endpoint_auth_method: 'client_secret_basic' } });
  const run = await connect(keys);
  assert.equal(run.first('/auth/register'), undefined);
  assert.match(run.first('/auth/token').headers.get('authorization'), /^Basic /);
  await run.close();
});

scenario('resource-mismatch', async () => {
  // No document of ours names another resource than the one that was asked about, so no client has to refuse one.
  for (const at of ['/mcp', '/mcp/one', '/mcp/two']) {
    assert.equal((await (await fetch(`${server.base}${PRM}${at}`)).json()).resource, server.base + at);
  }
  // And the token of one resource is none for another.
  const keys = new Person('resource-mismatch');
  const run = await connect(keys, { at: `${server.base}/mcp/one` });
  assert.equal((await initialize(`${server.base}/mcp/two`, keys.held.access_token)).status, 401);
  await run.close();
});

scenario('offline-access-scope', async () => {
  assert.ok(server.metadata.scopes_supported.includes('offline_access'));
  const prm = await (await fetch(`${server.base}${PRM}/mcp`)).json();
  assert.ok(!prm.scopes_supported.includes('offline_access'), 'no business of the resource');
  const keys = new Person('offline-access-scope');
  const run = await connect(keys);
  assert.ok(keys.opened[0].searchParams.get('scope').split(' ').includes('offline_access'));
  assert.ok(keys.held.refresh_token);
  await run.close();
});

scenario('offline-access-not-supported', async () => {
  // A client that did not register for it is given no refresh token, whatever it asks for.
  const keys = new Person('offline-access-not-supported', { metadata: { grant_types: ['authorization_code'] } });
  const run = await connect(keys);
  assert.equal(keys.held.refresh_token, undefined);
  await run.close();
});

scenario('authorization-server-migration', async () => {
  // Credentials of another authorization server are worth nothing here, and the client is told to register.
  const query = new URLSearchParams({ response_type: 'code', client_id: 'as1-client-id', redirect_uri: CALLBACK, code_challenge: CHALLENGE, code_challenge_method: 'S256' });
  assert.equal(await refusal(`${server.metadata.authorization_endpoint}?${query}`), undefined, 'sent nowhere');
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x', client_id: 'as1-client-id' });
  const answer = await fetch(server.metadata.token_endpoint, { method: 'POST', body: form });
  assert.deepEqual([answer.status, (await answer.json()).error], [401, 'invalid_client']);
});

// ---- iss (RFC 9207): ours is always there and always the same text; a strict client refuses whatever is made of it -----------------

async function authorizationResponse() {
  const { registration } = await registrationFor('none');
  const as = { ...server.metadata };
  const plain = { [oauth.allowInsecureRequests]: true };
  const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, registration, plain));
  const query = new URLSearchParams({ response_type: 'code', client_id: client.client_id, redirect_uri: CALLBACK, state: 'kept', code_challenge: CHALLENGE, code_challenge_method: 'S256' });
  const url = `${server.metadata.authorization_endpoint}?${query}`;
  return { as, client, url, answer: await allow(url) };
}

function refusedWithIss(name, change, advertised = true) {
  scenario(name, async () => {
    const { as, client, answer } = await authorizationResponse();
    if (!advertised) delete as.authorization_response_iss_parameter_supported;
    change(answer.searchParams);
    assert.throws(() => oauth.validateAuthResponse(as, client, answer, 'kept'), /iss/);
  });
}

scenario('iss-supported', async () => {
  const { as, client, url, answer } = await authorizationResponse();
  assert.equal(as.authorization_response_iss_parameter_supported, true);
  assert.ok(oauth.validateAuthResponse(as, client, answer, 'kept'));
  for (const refused of [await allow(url, { decision: 'deny' }), await refusal(url.replace('S256', 'plain'))]) {
    assert.ok(refused.searchParams.get('error'));
    assert.deepEqual(refused.searchParams.getAll('iss'), [server.base], 'in refusals, too');
  }
});

scenario('iss-not-advertised', async () => {
  // A client that knows nothing of it goes on all the same.
  const keys = new Person('iss-not-advertised');
  const run = await connect(keys, {
    tamper: async (answer, url) => {
      if (url.pathname !== AS) return answer;
      const { authorization_response_iss_parameter_supported: _, ...document } = await answer.json();
      return Response.json(document);
    },
  });
  await run.close();
});

refusedWithIss('iss-supported-missing', (query) => query.delete('iss'));
refusedWithIss('iss-wrong-issuer', (query) => query.set('iss', 'https://evil.example'));
refusedWithIss('iss-unexpected', (query) => query.set('iss', 'https://evil.example'), false);
refusedWithIss('iss-normalized', (query) => query.set('iss', `${query.get('iss')}/`));

scenario('metadata-issuer-mismatch', async () => {
  for (const at of [AS, OPENID]) {
    assert.equal((await (await fetch(server.base + at)).json()).issuer, server.base, at);
  }
  // Whatever host a request claims to be for, it cannot change what we say of ourselves.
  const answer = await fetch(server.base + AS, { headers: { 'x-forwarded-host': 'attacker.example', forwarded: 'host=attacker.example' } });
  assert.equal((await answer.json()).issuer, server.base);
});

// ---- clients that act for themselves -------------------------------------------------------------------------------------------

scenario('client-credentials-basic', async () => {
  const { client_id: clientId, secret: clientSecret } = server.services.client_secret_basic;
  const run = await connect(new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer: server.base }));
  assert.ok(run.form('client_credentials'));
  assert.match(run.first('/auth/token').headers.get('authorization'), /^Basic /);
  await run.close();
});

scenario('client-credentials-jwt', async () => {
  const { client_id: clientId, key } = server.services.private_key_jwt;
  const run = await connect(new PrivateKeyJwtProvider({ clientId, privateKey: key.pem, algorithm: key.alg, expectedIssuer: server.base }));
  assert.match(run.form('client_credentials').get('client_assertion_type'), /jwt-bearer$/);
  await run.close();
});

scenario('basic-cimd', async () => {
  // A document has to be on the internet, where these tests do not go; that it works is shown in crates/gateway/tests. Here: that it
  // is advertised, and that a document on this machine is not even asked for.
  assert.equal(server.metadata.client_id_metadata_document_supported, true);
  const query = new URLSearchParams({ response_type: 'code', client_id: 'https://127.0.0.1/client.json', redirect_uri: CALLBACK, code_challenge: CHALLENGE, code_challenge_method: 'S256' });
  const answer = await fetch(`${server.metadata.authorization_endpoint}?${query}`, { redirect: 'manual' });
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
  assert.equal(answer.headers.get('location'), null);
});

// ---- extensions that we do not have: neither advertised nor accepted ----------------------------------------------------------------

for (const [name, grant] of [
  ['enterprise-managed-authorization', 'urn:ietf:params:oauth:grant-type:token-exchange'],
  ['wif-jwt-bearer', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
]) {
  scenario(name, async () => {
    assert.ok(!server.metadata.grant_types_supported.includes(grant));
    const { client_id, secret: client_secret } = server.reader;
    const form = new URLSearchParams({ grant_type: grant, client_id, client_secret, assertion: 'x', subject_token: 'x' });
    const answer = await fetch(server.metadata.token_endpoint, { method: 'POST', body: form });
    assert.deepEqual([answer.status, (await answer.json()).error], [400, 'unsupported_grant_type']);
  });
}

for (const name of ['dpop', 'dpop-nonce']) {
  scenario(name, async () => {
    assert.equal(server.metadata.dpop_signing_alg_values_supported, undefined);
    const prm = await (await fetch(`${server.base}${PRM}/mcp`)).json();
    assert.equal(prm.dpop_signing_alg_values_supported, undefined);
    assert.notEqual(prm.dpop_bound_access_tokens_required, true);
    assert.doesNotMatch((await initialize(server.resource)).headers.get('www-authenticate'), /DPoP/i);
  });
}

test('every auth/ scenario of the runner is played here', () => {
  const folder = path.join(HERE, '../conformance/node_modules');
  const list = execFileSync(path.join(folder, 'node/bin/node'), [path.join(folder, '@modelcontextprotocol/conformance/dist/index.js'), 'list'], { encoding: 'utf8' });
  const listed = [...list.matchAll(/^\s*-\s*(auth\/\S+)/gm)].map(([, name]) => name);
  assert.ok(listed.length > 30, list);
  assert.deepEqual(listed.filter((name) => !played.has(name)), []);
});
