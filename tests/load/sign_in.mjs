// Signs people in at the gateway as an MCP client does, and prints their tokens as JSON: {"token": the first, "tokens": all,
// "refreshTokens": theirs, "client": its id}.
//
//   node sign_in.mjs GATEWAY RESOURCE PROVIDER_PORT [PEOPLE [CALLED]]
//
// Plain Node. Who signs in is made up by provider.mjs; what a browser does is tests/interop's.
import { createHash, randomBytes } from 'node:crypto';
import process from 'node:process';

import { Browser } from '../interop/agent.mjs';
import { startProvider } from './provider.mjs';

const [gateway, resource, providerPort, people = '1', called = 'person'] = process.argv.slice(2);
const CALLBACK = 'http://localhost:43118/callback';

async function isUp() {
  for (let attempt = 0; attempt < 3000; attempt += 1) {
    const answer = await fetch(`${gateway}/health`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no gateway at ${gateway}`);
}

async function post(path, headers, body) {
  const answer = await fetch(gateway + path, { method: 'POST', headers, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

const register = () =>
  post('/auth/register', { 'content-type': 'application/json' }, JSON.stringify({
    client_name: 'Speed reading',
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }));

async function signIn(client) {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const url = new URL(`${gateway}/auth/authorize`);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    state,
    resource,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const back = await new Browser({ decision: 'allow' }).visit(url, CALLBACK);
  if (back.searchParams.get('state') !== state || !back.searchParams.has('code')) throw new Error(`came back as ${back}`);
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    resource,
    code: back.searchParams.get('code'),
    code_verifier: verifier,
  });
  return post('/auth/token', { 'content-type': 'application/x-www-form-urlencoded' }, form.toString());
}

await isUp();
let person = 0;
const provider = await startProvider(Number(providerPort), () => `${called}-${person}`);
try {
  const client = await register();
  const tokens = [];
  for (; person < Number(people); person += 1) tokens.push(await signIn(client));
  const accesses = tokens.map((granted) => granted.access_token);
  const refreshTokens = tokens.map((granted) => granted.refresh_token);
  console.log(JSON.stringify({ token: accesses[0], tokens: accesses, refreshTokens, client: client.client_id }));
} finally {
  await provider.stop();
}
