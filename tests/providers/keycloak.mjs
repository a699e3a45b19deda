// Keycloak, as its documentation sets it up behind a reverse proxy: an optimized build, an imported realm, one public hostname, and an
// internal address for other programs (KC_HOSTNAME, KC_HOSTNAME_BACKCHANNEL_DYNAMIC). `./test` downloads and builds it. The other providers
// have files of their own beside this one; what is asked of all of them stands in providers.test.mjs.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { answers, freePort, start as run, tail } from '../interop/processes.mjs';
import { ELSEWHERE, must, until } from './tools.mjs';

export const name = 'keycloak';

const REALM = 'acme';
const ADMIN = { username: 'admin', password: 'the-administrator-of-these-tests' };
const HEAP = ['-Xms64m', '-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
const PACKAGES = ['java.util', 'java.util.concurrent', 'java.security', 'java.lang'];
const OPENS = PACKAGES.map((each) => `--add-opens=java.base/${each}=ALL-UNNAMED`);

export async function start({ folder, callback, signedOut }) {
  const home = must('KEYCLOAK');
  const [inside, outside] = [await freePort(), await freePort()];
  const root = `http://localhost:${outside}`;
  fs.mkdirSync(path.join(home, 'data/import'), { recursive: true });
  fs.writeFileSync(path.join(home, 'data/import', `${REALM}-realm.json`), JSON.stringify(realm({ callback, signedOut }), null, 2));
  const java = startJava(home, inside, root, path.join(folder, 'keycloak.log'));
  const proxy = await startProxy(outside, inside);
  const issuer = `${root}/realms/${REALM}`;
  const internal = `http://127.0.0.1:${inside}`;
  await answers(internal, java);
  await until(async () => (await fetch(`${issuer}/.well-known/openid-configuration`)).ok, () => tail(java.log));
  return {
    issuer,
    internal,
    client: { id: 'portunus', secret: 'a-secret-known-to-these-tests' },
    people: {
      insider: { name: 'Alice Archer', account: 'alice@example.com', groups: ['admins', 'engineering'], answers: person('alice') },
      outsider: { name: 'Bob Baker', account: 'bob@example.com', answers: person('bob') },
    },
    saysNo: { ...person('carol'), accept: undefined, cancel: /^/ },
    signInPage: /id="kc-form-login"/,
    rotateKeys: () => addKey(internal),
    broken: broken({ root, issuer, internal, callback, callers: proxy.callers }),
    async stop() {
      await proxy.stop();
      await java.stop();
    },
  };
}

/** As `bin/kc.sh start --optimized` runs it, but without the shell in between: what ends this child ends Java. */
function startJava(home, port, root, log) {
  const args = [
    ...HEAP,
    ...OPENS,
    '-Dfile.encoding=UTF-8',
    `-Dkc.home.dir=${home}`,
    '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
    '-Dpicocli.disable.closures=true',
    '-cp',
    path.join(home, 'lib/quarkus-run.jar'),
    'io.quarkus.bootstrap.runner.QuarkusEntryPoint',
    'start',
    '--optimized',
    '--import-realm',
  ];
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    KC_CACHE: 'local',
    KC_HTTP_ENABLED: 'true',
    KC_HTTP_HOST: '127.0.0.1',
    KC_HTTP_PORT: String(port),
    KC_HOSTNAME: root,
    KC_HOSTNAME_BACKCHANNEL_DYNAMIC: 'true',
    KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
    KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
  };
  return run('java', args, { env, log });
}

/** The reverse proxy in front of it. `callers` is what has come through, by its user agent. */
async function startProxy(port, target) {
  const callers = [];
  const server = http.createServer((request, response) => {
    callers.push(`${request.headers['user-agent'] ?? 'nameless'} ${request.method} ${request.url}`);
    const onward = { host: '127.0.0.1', port: target, method: request.method, path: request.url, headers: request.headers, agent: false };
    const asked = http.request(onward, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    asked.on('error', () => response.destroy());
    request.pipe(asked);
  });
  await new Promise((resolve, reject) => server.listen(port, 'localhost', resolve).once('error', reject));
  return { callers, stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

function person(username) {
  return { username, password: `the password of ${username}`, login: /^/, accept: /^/ };
}

function realm({ callback, signedOut }) {
  const user = (username, firstName, lastName, groups) => ({
    username,
    firstName,
    lastName,
    email: `${username}@example.com`,
    emailVerified: true,
    enabled: true,
    groups,
    credentials: [{ type: 'password', value: `the password of ${username}`, temporary: false }],
  });
  const client = (clientId, more) => ({
    clientId,
    name: 'Portunus',
    secret: 'a-secret-known-to-these-tests',
    protocol: 'openid-connect',
    publicClient: false,
    standardFlowEnabled: true,
    consentRequired: true,
    redirectUris: [callback],
    attributes: { 'post.logout.redirect.uris': signedOut },
    protocolMappers: [groupsMapper()],
    ...more,
  });
  return {
    realm: REALM,
    enabled: true,
    sslRequired: 'none',
    groups: [{ name: 'engineering' }, { name: 'admins' }, { name: 'sales' }],
    users: [
      user('alice', 'Alice', 'Archer', ['/engineering', '/admins']),
      user('bob', 'Bob', 'Baker', ['/sales']),
      user('carol', 'Carol', 'Carter', ['/engineering']),
    ],
    clients: [
      client('portunus'),
      client('portunus-public', { publicClient: true, secret: undefined }),
      client('portunus-disabled', { enabled: false }),
      client('portunus-machine', { standardFlowEnabled: false, serviceAccountsEnabled: true }),
      client('portunus-signed', { clientAuthenticatorType: 'client-jwt' }),
      client('portunus-silent', { attributes: { 'post.logout.redirect.uris': signedOut, 'exclude.issuer.from.auth.response': 'true' } }),
      client('portunus-nowhere', { attributes: {}, redirectUris: [callback] }),
    ],
  };
}

function groupsMapper() {
  return {
    name: 'groups',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-group-membership-mapper',
    config: { 'claim.name': 'groups', 'full.path': 'false', 'id.token.claim': 'true', 'userinfo.token.claim': 'true' },
  };
}

/** A new signing key, of a higher priority than the one before, as in Realm settings > Keys > Add provider. */
async function addKey(internal) {
  const ask = async (at, options) => {
    const answer = await fetch(internal + at, options);
    if (!answer.ok) throw new Error(`${at}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  const form = new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...ADMIN });
  const { access_token: token } = await (await ask('/realms/master/protocol/openid-connect/token', { method: 'POST', body: form })).json();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const { id: parentId } = await (await ask(`/admin/realms/${REALM}`, { headers })).json();
  const component = {
    name: 'rotated',
    providerId: 'rsa-generated',
    providerType: 'org.keycloak.keys.KeyProvider',
    parentId,
    config: { priority: ['200'], keySize: ['2048'], algorithm: ['RS256'], active: ['true'], enabled: ['true'] },
  };
  await ask(`/admin/realms/${REALM}/components`, { method: 'POST', headers, body: JSON.stringify(component) });
}

function broken({ root, issuer, internal, callback, callers }) {
  return [
    {
      what: 'a slash at the end of the issuer, which Keycloak never has and this preset takes off',
      change: { ISSUER: `${issuer}/` },
      signsIn: true,
    },
    { what: 'its internal address beside the public one', change: { INTERNAL_URL: internal }, signsIn: true, notBy: callers },
    {
      what: 'a realm that is not there',
      change: { ISSUER: `${root}/realms/nobody` },
      wrong: { ISSUER: /no metadata document at .* \(404/ },
    },
    {
      what: 'the path of old releases',
      change: { ISSUER: `${root}/auth/realms/${REALM}` },
      wrong: { ISSUER: /no metadata document at .* \(404/ },
    },
    {
      what: 'the internal address for the issuer',
      change: { ISSUER: `${internal}/realms/${REALM}` },
      wrong: { ISSUER: /names the issuer "http:\/\/localhost/ },
    },
    {
      what: 'an internal address where nobody listens',
      change: { INTERNAL_URL: 'http://127.0.0.1:9' },
      wrong: { ISSUER: /did not answer/ },
    },
    {
      what: 'another public address',
      change: ELSEWHERE,
      wrong: { 'redirect URI': /Invalid parameter: redirect_uri/, 'sign-out redirect URI': /Invalid redirect uri/ },
    },
    {
      what: 'another client',
      change: { ID: 'nobody' },
      wrong: { 'redirect URI': /Client not found/, SECRET: /invalid_client/, 'sign-out redirect URI': /Invalid redirect uri/ },
    },
    {
      what: 'a client that is switched off',
      change: { ID: 'portunus-disabled' },
      wrong: { 'redirect URI': /Client disabled/, SECRET: /invalid_client/ },
    },
    { what: 'a client without the standard flow', change: { ID: 'portunus-machine' }, wrong: { 'redirect URI': /./ } },
    { what: 'another secret', change: { SECRET: 'not-the-secret' }, wrong: { SECRET: /unauthorized_client|invalid_client/ } },
    { what: 'a client that is to sign its requests', change: { ID: 'portunus-signed' }, wrong: { SECRET: /./ } },
    {
      what: 'a client whose answers do not name the issuer',
      change: { ID: 'portunus-silent' },
      untold: ['redirect URI'],
    },
    { what: 'a secret at a public client', change: { ID: 'portunus-public' }, wrong: { SECRET: /takes any secret/ } },
    {
      what: 'a callback that is not registered',
      change: { REDIRECT_URI: callback.replace('/keycloak', '') },
      wrong: { 'redirect URI': /Invalid parameter: redirect_uri/ },
    },
    {
      what: 'a sign-out that is not registered',
      change: { ID: 'portunus-nowhere' },
      wrong: { 'sign-out redirect URI': /Invalid redirect uri/ },
    },
    {
      what: 'a scope that it does not have',
      change: { SCOPES: 'openid profile email nonsense' },
      wrong: { 'redirect URI': /invalid_scope/ },
    },
  ];
}
