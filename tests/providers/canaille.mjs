// Canaille, a directory with single sign-on in Python, as its documentation sets it up: a TOML file, SQLite, and its own commands to fill
// it with people, groups and the client. `./test` installs it into a virtual environment. The other providers have files of their own
// beside this one; what is asked of all of them stands in providers.test.mjs.
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { answers, freePort, start as run } from '../interop/processes.mjs';
import { ELSEWHERE, must } from './tools.mjs';

export const name = 'canaille';

const CLIENT = { id: 'portunus', secret: 'a-secret-known-to-these-tests' };

export async function start({ folder, callback, signedOut }) {
  const program = must('CANAILLE');
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const config = path.join(folder, 'canaille.toml');
  const keys = [newKey()];
  write(config, { folder, port, keys });
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PYTHONWARNINGS: 'ignore', CONFIG: config };
  await fill(program, { env, cwd: folder, callback, signedOut });
  const serve = async () => {
    // In this one process, so that ending it ends everything.
    const args = ['run', '--bind', `127.0.0.1:${port}`, '--workers', '0'];
    const server = run(program, args, { env, cwd: folder, log: path.join(folder, 'canaille.log') });
    await answers(`${issuer}/.well-known/openid-configuration`, server);
    return server;
  };
  let server = await serve();
  return {
    issuer,
    client: CLIENT,
    people: {
      insider: { name: 'Alice Archer', account: 'alice@example.com', groups: ['admins', 'engineering'], answers: person('alice') },
      outsider: { name: 'Bob Baker', account: 'bob@example.com', answers: person('bob') },
    },
    saysNo: { ...person('carol'), answer: /^(deny)?$/ },
    signInPage: /name="login"/,
    /** The next second: two access tokens of one person that it makes within the same one are equal, and it fails at the second of them. */
    ready: () => new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000))),
    /** The new key signs, and the old one is published still: the way its documentation has it. It reads them at start. */
    async rotateKeys() {
      keys.unshift(newKey());
      write(config, { folder, port, keys });
      await server.stop();
      server = await serve();
    },
    broken: broken({ issuer, callback }),
    stop: () => server.stop(),
  };
}

function person(login) {
  return { login, password: `the password of ${login}`, answer: /^(accept)?$/ };
}

function newKey() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
}

function write(file, { folder, port, keys: [active, ...inactive] }) {
  const list = (keys) => `[${keys.map((key) => `"""\n${key}"""`).join(', ')}]`;
  const text = `
SECRET_KEY = "only-for-these-tests"
SERVER_NAME = "localhost:${port}"
PREFERRED_URL_SCHEME = "http"

[CANAILLE]
NAME = "Acme"
DATABASE = "sql"

[CANAILLE_SQL]
DATABASE_URI = "sqlite:///${path.join(folder, 'canaille.sqlite')}"

[CANAILLE_OIDC]
ACTIVE_JWKS = ${list([active])}
INACTIVE_JWKS = ${list(inactive)}
`;
  fs.writeFileSync(file, text);
}

/** People, groups and the client, as its `dump` writes them. */
async function fill(program, { env, cwd, callback, signedOut }) {
  const groups = { engineering: ['alice', 'carol'], admins: ['alice'], sales: ['bob'] };
  const user = ([login, given, family]) => ({
    id: login,
    user_name: login,
    password: `the password of ${login}`,
    given_name: given,
    family_name: family,
    formatted_name: `${given} ${family}`,
    emails: [`${login}@example.com`],
    groups: Object.keys(groups).filter((group) => groups[group].includes(login)),
  });
  const client = (id, signedOut) => ({
    id,
    audience: [id],
    client_id: id,
    client_secret: CLIENT.secret,
    client_name: 'Portunus',
    redirect_uris: [callback],
    post_logout_redirect_uris: signedOut,
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    scope: ['openid', 'profile', 'email', 'groups'],
  });
  const everything = {
    user: [['alice', 'Alice', 'Archer'], ['bob', 'Bob', 'Baker'], ['carol', 'Carol', 'Carter']].map(user),
    group: Object.entries(groups).map(([group, members]) => ({ id: group, display_name: group, members })),
    client: [client(CLIENT.id, [signedOut]), client('portunus-nowhere', [])],
  };
  await command(program, ['install'], { env, cwd });
  await command(program, ['restore'], { env, cwd }, JSON.stringify(everything));
}

function command(program, args, options, input = '') {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { ...options, timeout: 60_000 }, (error) => (error ? reject(error) : resolve()));
    child.stdin.end(input);
  });
}

function broken({ issuer, callback }) {
  // Its answers to people carry `iss`, as its metadata promises; those without a page (`prompt=none`), which the doctor asks for, do not.
  const untold = ['redirect URI'];
  const exactly = (setting) => ({ ISSUER: new RegExp(`names the issuer "http://localhost:\\d+", the setting is "${setting}"`) });
  return [
    { what: 'a slash at the end of the issuer', change: { ISSUER: `${issuer}/` }, wrong: exactly(`${issuer}/`) },
    { what: 'another name of the host', change: { ISSUER: issuer.replace('localhost', '127.0.0.1') }, wrong: { ISSUER: /./ } },
    { what: 'a path that is not there', change: { ISSUER: `${issuer}/oauth` }, wrong: { ISSUER: /no metadata document at .* \(404/ } },
    { what: 'another client', change: { ID: 'nobody' }, wrong: { 'redirect URI': /404 Not Found/, SECRET: /The client does not exist/ } },
    { what: 'another secret', change: { SECRET: 'not-the-secret' }, wrong: { SECRET: /invalid_client/ }, untold },
    {
      what: 'another public address',
      change: ELSEWHERE,
      wrong: { 'redirect URI': /400 Bad Request/ },
      untold: ['sign-out redirect URI'],
    },
    { what: 'a sign-out that is not registered', change: { ID: 'portunus-nowhere' }, wrong: {}, untold: ['sign-out redirect URI'] },
    {
      what: 'a callback that is not registered',
      change: { REDIRECT_URI: callback.replace('/canaille', '') },
      wrong: { 'redirect URI': /400 Bad Request/ },
    },
  ];
}
