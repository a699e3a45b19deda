// A gateway as a company runs it, for the matrix: a real OpenID provider, every fixture server on both transports in mcp.json, and a user
// who is signed in, with an access token for each server; and a smaller one, for `/mcp`. The scenarios that are run against them stand in
// matrix.test.mjs and merged.test.mjs, and in ../nodes, where several gateways are the one.
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { startProvider } from '../interop/provider.mjs';
import { Keychain } from '../interop/sign_in.mjs';
import { freePort, gatewayBinary, startGateway } from '../interop/processes.mjs';
import { SERVERS, TRANSPORTS, startHttp, stdioCommand } from './servers.mjs';
import { startTokenProxy } from './token_proxy.mjs';

/** Every server of mcp.json: a fixture on a transport. */
export const PLACES = SERVERS.flatMap((server) =>
  TRANSPORTS.map((transport) => ({ name: `${server.name}-${transport}`, server: server.name, era: server.era, transport })),
);

/**
 * Starts everything. `urlOf(place)` is where a client without a token reaches a place, with the token of the first of `people`, or of the
 * one that is named. `launch` starts the gateway, as `startGateway` does; `before` is the token proxy's, and is told whose request it is.
 */
export async function startMatrix(folder, { launch, people = ['alice'], before } = {}) {
  const mcpServers = {};
  const { stops, stop } = stopping();
  try {
    for (const server of SERVERS) {
      const { url, stop: stopServer } = await startHttp(server, folder);
      stops.push(stopServer);
      mcpServers[`${server.name}-stdio`] = stdioCommand(server);
      mcpServers[`${server.name}-http`] = { url, type: 'http' };
    }
    const views = PLACES.map((place) => place.name);
    const { gateway, urlOf } = await signedIn(folder, stops, { mcpServers, views, launch, people, before });
    return { gateway, urlOf: (place, person = people[0]) => urlOf(place.name, person), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One fixture beside a server of another kind. `url` is `/mcp`, with the names that the runner knows. */
export async function startMerged(folder, fixture, transport) {
  const { stops, stop } = stopping();
  try {
    let server = stdioCommand(fixture);
    if (transport === 'http') {
      const { url, stop: stopServer } = await startHttp(fixture, folder);
      stops.push(stopServer);
      server = { url, type: 'http' };
    }
    const mcpServers = { dice: { command: gatewayBinary(), args: ['demo-server', 'dice'] }, fixture: server };
    const { urlOf } = await signedIn(folder, stops, { mcpServers, config: 'names: plain\n', views: [''] });
    return { url: urlOf('', 'alice'), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Lets a server on stdio start. The runner gives one call 600 ms, in which a busy machine may not start a program; and the gateway
 * starts one for each set of client capabilities (docs/decisions/0028-clients-faces.md), of which the runner has these.
 */
export async function warmUp(url) {
  for (const capabilities of [{}, { elicitation: {} }, { sampling: {} }, { sampling: {}, elicitation: {}, roots: { listChanged: true } }]) {
    const answer = await listTools(url, capabilities);
    assert.equal(answer.status, 200, await answer.text());
  }
}

/** `tools/list` as a client of the modern revision asks it, who can do this. */
export function listTools(url, capabilities) {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/list',
      params: {
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': capabilities,
        },
      },
    }),
  });
}

/** What has to be stopped, the last one first. */
function stopping() {
  const stops = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  return { stops, stop };
}

/** A gateway before these servers, and people with a token for each of the `views`. */
async function signedIn(folder, stops, { mcpServers, config = '', views, launch = startGateway, people = ['alice'], before }) {
  const port = await freePort();
  const base = `http://localhost:${port}`;
  const redirectUris = [`${base}/auth/callback/testidp`, `${base}/auth/callback`];
  const provider = await startProvider({ port: await freePort(), redirectUris, signedOutUris: [`${base}/`] });
  stops.push(provider.stop);
  const env = {
    AUTH_PROVIDER: 'testidp',
    AUTH_TESTIDP_ID: provider.client.id,
    AUTH_TESTIDP_SECRET: provider.client.secret,
    AUTH_TESTIDP_ISSUER: provider.issuer,
    AUTH_SECRET: randomBytes(33).toString('base64'),
    LOG_LEVEL: 'debug',
  };
  const gateway = await launch(folder, { port, env, mcp: { mcpServers }, config });
  stops.push(gateway.stop);
  const proxies = new Map();
  for (const person of people) {
    const tokens = new Map();
    for (const view of views) tokens.set(view, await accessToken(`${base}/mcp${view && `/${view}`}`, view || 'everything', person));
    const proxy = await startTokenProxy(base, tokens, before && ((request) => before(request, person)));
    stops.push(proxy.stop);
    proxies.set(person, proxy);
  }
  return { gateway, urlOf: (view, person) => proxies.get(person).urlOf(view) };
}

/** What an SDK's client does before its first request: discovery, registration, sign-in, and the code for a token. */
async function accessToken(serverUrl, name, person) {
  const keys = new Keychain({ name: `Conformance runner at ${name}`, person });
  if ((await auth(keys, { serverUrl })) !== 'REDIRECT') throw new Error(`nobody was asked to sign in for ${serverUrl}`);
  const authorizationCode = keys.answer.searchParams.get('code');
  if ((await auth(keys, { serverUrl, authorizationCode })) !== 'AUTHORIZED') throw new Error(`no token for ${serverUrl}`);
  return keys.held.access_token;
}
