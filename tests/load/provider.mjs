// The identity provider of the speed readings: just enough OpenID Connect for a sign-in, and it believes every browser. It is there while
// sign_in.mjs signs people in and not while the gateway is measured. A real provider is in tests/interop.
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import http from 'node:http';

export const CLIENT = { id: 'portunus-load', secret: 'a-secret-known-to-this-reading-only' };

/** Listens on `port`, with a key of its own each time. `person` names who signs in next; every person is in the group `engineering`. */
export async function startProvider(port, person) {
  const issuer = `http://localhost:${port}`;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...publicKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };
  const codes = new Map();

  const idToken = ({ nonce, sub }) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: CLIENT.id, sub, nonce, iat: now, exp: now + 300, name: sub, groups: ['engineering'] };
    const parts = [{ alg: 'RS256', kid: key.kid }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    return [...parts, sign('sha256', Buffer.from(parts.join('.')), privateKey).toString('base64url')].join('.');
  };

  const routes = {
    '/.well-known/openid-configuration': () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      code_challenge_methods_supported: ['S256'],
    }),
    '/keys': () => ({ keys: [key] }),
    '/token': (form, authorization) => {
      if (!isClient(form, authorization)) return { error: 'invalid_client' };
      const asked = codes.get(form.get('code'));
      codes.delete(form.get('code'));
      const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
      if (!asked || challenge !== asked.challenge) return { error: 'invalid_grant' };
      return { token_type: 'Bearer', access_token: randomUUID(), expires_in: 300, id_token: idToken(asked) };
    },
  };

  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, issuer);
    if (url.pathname === '/authorize') {
      const code = randomUUID();
      codes.set(code, { nonce: url.searchParams.get('nonce'), challenge: url.searchParams.get('code_challenge'), sub: person() });
      const back = new URL(url.searchParams.get('redirect_uri'));
      back.searchParams.set('code', code);
      back.searchParams.set('state', url.searchParams.get('state'));
      response.writeHead(302, { location: back.href }).end();
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const answer = routes[url.pathname]?.(form, request.headers.authorization) ?? { error: 'invalid_request' };
    response.writeHead(answer.error ? 400 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
  await new Promise((resolve, reject) => server.listen(port, 'localhost', resolve).once('error', reject));
  return { issuer, stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

/** Whether the gateway has proven itself, in the header or in the form. */
function isClient(form, authorization = '') {
  const basic = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8');
  const [id, secret] = basic ? basic.split(':').map(decodeURIComponent) : [form.get('client_id'), form.get('client_secret')];
  return id === CLIENT.id && secret === CLIENT.secret;
}
