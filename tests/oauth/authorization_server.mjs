// The authorization server under test: the gateway with oidc-provider behind it, two MCP servers, and clients of its configuration.
// Processes, provider and browser are those of tests/interop; which library asks what stands in the *.test.mjs files.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';

import { Browser } from '../interop/agent.mjs';
import { startProvider } from '../interop/provider.mjs';
import { EVERYTHING, freePort, scratch, startGateway } from '../interop/processes.mjs';

export const HERE = path.dirname(fileURLToPath(import.meta.url));
/** Where clients are sent back to; no server listens there, the browser stops before it. */
export const CALLBACK = 'http://localhost:43118/callback';
export const METADATA = '/.well-known/oauth-authorization-server';
/** A code challenge (RFC 7636 appendix B), for requests whose code is never redeemed. */
export const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

/** A key pair as a client has it: the private key, its PEM, and the key set to register. */
export async function newKey(alg = 'RS256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = randomBytes(6).toString('hex');
  return {
    alg,
    kid,
    privateKey,
    pem: await exportPKCS8(privateKey),
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }] },
  };
}

/**
 * Starts it. `clients` are settings of `clients` in config.yaml. Clients of the configuration: `services` act for themselves, one for
 * each method; `known` is one that people sign in with; `reader` is another, that may introspect every token.
 */
export async function startAuthorizationServer(name, { clients = {} } = {}) {
  const folder = scratch(`oauth-${name}`);
  const [providerPort, port] = [await freePort(), await freePort()];
  const base = `http://localhost:${port}`;
  const provider = await startProvider({
    port: providerPort,
    redirectUris: [`${base}/auth/callback/testidp`],
    signedOutUris: [`${base}/auth/signout`, `${base}/`],
  });
  const known = await knownClients();
  const configured = [...Object.values(known.services), known.known, known.reader].map(({ key, ...client }) => client);
  const gateway = await startGateway(folder, {
    port,
    env: {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_SECRET: randomBytes(33).toString('base64'),
    },
    mcp: {
      mcpServers: {
        one: { command: process.execPath, args: [EVERYTHING, 'stdio'] },
        two: { command: process.execPath, args: [EVERYTHING, 'stdio'] },
      },
    },
    // JSON is YAML, too.
    config: JSON.stringify({ clients: { ...clients, configured } }, null, 2),
  });
  const metadata = await (await fetch(base + METADATA)).json();
  return {
    base,
    resource: `${base}/mcp`,
    metadata,
    ...known,
    async stop() {
      await gateway.stop();
      await provider.stop();
    },
  };
}

async function knownClients() {
  const key = await newKey('ES256');
  const service = (method, proof) => ({
    client_id: `service-${method}`,
    name: `Service with ${method}`,
    auth_method: method,
    grant_types: ['client_credentials'],
    groups: ['machines'],
    ...proof,
  });
  const secret = () => ({ secret: randomBytes(33).toString('base64') });
  return {
    services: {
      client_secret_basic: service('client_secret_basic', secret()),
      client_secret_post: service('client_secret_post', secret()),
      private_key_jwt: service('private_key_jwt', { jwks: JSON.stringify(key.jwks), key }),
    },
    known: { client_id: 'known-beforehand', name: 'Known beforehand', redirect_uris: [CALLBACK], auth_method: 'client_secret_basic', ...secret() },
    reader: { client_id: 'reads-all-tokens', name: 'Reads all tokens', redirect_uris: [CALLBACK], auth_method: 'client_secret_post', trusted: true, ...secret() },
  };
}

/** What a client that uses `method` registers; with the key that it proves itself with, if it has one. */
export async function registrationFor(method, more = {}) {
  const key = method === 'private_key_jwt' ? await newKey() : undefined;
  const registration = {
    client_name: `A client that uses ${method}`,
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
    ...(key && { jwks: key.jwks }),
    ...more,
  };
  return { registration, key };
}

/** Alice signs in and allows what is asked. Returns where she was sent back to. */
export function allow(url, { decision = 'allow', until = CALLBACK } = {}) {
  return new Browser({ login: 'alice', password: 'not looked at', decision }).visit(url, until);
}

/**
 * What a client is told of a request that is refused before a person signs in. No browser is sent away by a link that an attacker may have
 * made: there is a page, and a button on it that leads back. With `prompt=none` there is no page.
 */
export async function refusal(url) {
  const answer = await fetch(url, { redirect: 'manual' });
  const page = await answer.text();
  const button = page.match(/<a\b[^>]*\bhref="([^"]*)"/g)?.map((tag) => /href="([^"]*)"/.exec(tag)[1].replaceAll('&#38;', '&').replaceAll('&amp;', '&'));
  const back = answer.headers.get('location') ?? button?.find((href) => href.startsWith(CALLBACK));
  return back?.startsWith(CALLBACK) ? new URL(back) : undefined;
}

/** The first call of a session on an MCP endpoint. */
export function initialize(url, token) {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(token && { authorization: `Bearer ${token}` }) },
    body: INITIALIZE,
  });
}

export const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'oauth tests', version: '1.0.0' } },
});
