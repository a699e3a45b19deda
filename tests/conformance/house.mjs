// A gateway as a company runs it, for the matrix: a real OpenID provider, every fixture server on both transports in mcp.json, and
// somebody signed in, with an access token for each server. The scenarios that are run against it stand in matrix.test.mjs.
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { randomBytes } from 'node:crypto';

import { startProvider } from '../interop/provider.mjs';
import { Keychain } from '../interop/sign_in.mjs';
import { freePort, startGateway } from '../interop/world.mjs';
import { SERVERS, TRANSPORTS, startHttp, stdioCommand } from './servers.mjs';
import { startTokenProxy } from './token_proxy.mjs';

/** Every server of mcp.json: a fixture on a transport. */
export const PLACES = SERVERS.flatMap((server) =>
  TRANSPORTS.map((transport) => ({ name: `${server.name}-${transport}`, server: server.name, era: server.era, transport })),
);

/** Starts everything. `urlOf(place)` is where somebody without a token reaches a place, with the token of the person who signed in. */
export async function startHouse(folder) {
  const stops = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const port = await freePort();
    const base = `http://localhost:${port}`;
    const redirectUris = [`${base}/auth/callback/testidp`, `${base}/auth/callback`];
    const provider = await startProvider({ port: await freePort(), redirectUris, signedOutUris: [`${base}/`] });
    stops.push(provider.stop);
    const mcpServers = {};
    for (const server of SERVERS) {
      const { url, stop: stopServer } = await startHttp(server, folder);
      stops.push(stopServer);
      mcpServers[`${server.name}-stdio`] = stdioCommand(server);
      mcpServers[`${server.name}-http`] = { url, type: 'http' };
    }
    const env = {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_SECRET: randomBytes(33).toString('base64'),
      LOG_LEVEL: 'debug',
    };
    const gateway = await startGateway(folder, { port, env, mcp: { mcpServers }, config: '' });
    stops.push(gateway.stop);
    const tokens = new Map();
    for (const place of PLACES) tokens.set(place.name, await accessToken(`${base}/mcp/${place.name}`, place.name));
    const proxy = await startTokenProxy(base, tokens);
    stops.push(proxy.stop);
    return { urlOf: (place) => proxy.urlOf(place.name), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What an SDK's client does before its first request: discovery, registration, sign-in, and the code for a token. */
async function accessToken(serverUrl, name) {
  const keys = new Keychain({ name: `Conformance runner at ${name}` });
  if ((await auth(keys, { serverUrl })) !== 'REDIRECT') throw new Error(`nobody was asked to sign in for ${serverUrl}`);
  const authorizationCode = keys.answer.searchParams.get('code');
  if ((await auth(keys, { serverUrl, authorizationCode })) !== 'AUTHORIZED') throw new Error(`no token for ${serverUrl}`);
  return keys.held.access_token;
}
