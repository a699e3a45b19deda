// The identity provider of these tests: oidc-provider, a certified OpenID provider, with a few people and a sign-in form of its own.
import http from 'node:http';
import { Provider, interactionPolicy } from 'oidc-provider';

export const PEOPLE = {
  alice: { name: 'Alice Archer', email: 'alice@example.com', groups: ['engineering', 'admins'] },
  bob: { name: 'Bob Baker', email: 'bob@example.com', groups: ['sales'] },
  carol: { name: 'Carol Carter', email: 'carol@example.com', groups: [] },
  dave: { name: 'Dave Dyer', email: 'dave@example.com', groups: [] },
};

/**
 * Starts it on `port`; `redirectUris` are the gateway's. Returns how to reach it and how to stop it. Each request waits for what `before`
 * does about it. `pkce`: whether it insists on it.
 */
export async function startProvider({ port, redirectUris, signedOutUris, pkce = true, before = async () => {} }) {
  const issuer = `http://localhost:${port}`;
  // The company's own application: people are not asked for consent at the provider, as native clients otherwise always are.
  const policy = interactionPolicy.base();
  policy.remove('consent');
  const client = { id: 'portunus-interop', secret: 'a-secret-known-to-this-test-only' };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        // `web` clients must have https redirect URIs here; these tests stay on loopback.
        application_type: 'native',
        redirect_uris: redirectUris,
        post_logout_redirect_uris: signedOutUris,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false,
    pkce: { required: () => pkce },
    // Without a page: it would show one for `offline_access`.
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    cookies: { keys: ['only-for-these-tests'] },
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true, logoutSource: askWhetherToSignOut } },
    interactions: { policy, url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email_verified: true, ...PEOPLE[id] }),
    }),
    async loadExistingGrant(context) {
      const grant = new context.oidc.provider.Grant({ clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId });
      grant.addOIDCScope('openid profile email groups offline_access');
      await grant.save();
      return grant;
    },
  });
  const errors = [];
  for (const event of ['server_error', 'authorization.error', 'grant.error', 'userinfo.error', 'discovery.error', 'jwks.error']) {
    provider.on(event, (_context, error) => errors.push(`${event}: ${error.message} ${error.error_description ?? ''} ${error.error_detail ?? ''}`));
  }
  const callback = provider.callback();
  const server = http.createServer(async (request, response) => {
    await before(request);
    // A browser that went away meanwhile is not answered.
    if (request.socket.destroyed) return;
    if (request.url.startsWith('/interaction/')) signIn(provider, request, response).catch((error) => response.destroy(error));
    else callback(request, response);
  });
  await new Promise((resolve, reject) => server.listen(port, 'localhost', resolve).once('error', reject));
  return { issuer, client, errors, stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

/** The library's own page would fetch a font from elsewhere. */
function askWhetherToSignOut(context, form) {
  context.body = `<!doctype html><title>Sign out</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`;
}

async function signIn(provider, request, response) {
  if (request.method === 'POST') {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const login = new URLSearchParams(Buffer.concat(chunks).toString('utf8')).get('login');
    if (login in PEOPLE) {
      await provider.interactionFinished(request, response, { login: { accountId: login } }, { mergeWithLastSubmission: false });
      return;
    }
  }
  await provider.interactionDetails(request, response);
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  response.end('<!doctype html><title>Sign in</title><form method="post"><input name="login"><input name="password" type="password" autocomplete="off"><button>Sign in</button></form>');
}
