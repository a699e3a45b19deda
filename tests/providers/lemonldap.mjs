// LemonLDAP::NG from Debian, a portal with an OpenID Connect service, as its documentation sets it up: one file of configuration, its
// demonstration accounts for the directory, groups by rules of its own, and its script that rotates keys. `./test` installs it. Its issuer
// ends with a slash, which is its default. The other providers have files of their own beside this one; what is asked of all of them stands
// in providers.test.mjs.
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { answers, freePort, start as run } from '../interop/processes.mjs';
import { ELSEWHERE, until } from './tools.mjs';

export const name = 'lemonldap';

const CLIENT = { id: 'portunus', secret: 'a-secret-known-to-these-tests' };
const SCRIPTS = '/usr/share/lemonldap-ng/bin';

export async function start({ folder, callback, signedOut }) {
  const port = await freePort();
  const issuer = `http://localhost:${port}/`;
  for (const each of ['conf', 'sessions/lock', 'persistent/lock', 'cache']) fs.mkdirSync(path.join(folder, each), { recursive: true });
  const ini = path.join(folder, 'lemonldap-ng.ini');
  fs.writeFileSync(ini, settings(folder));
  const text = JSON.stringify(configuration({ folder, issuer, callback, signedOut }), null, 2);
  fs.writeFileSync(path.join(folder, 'conf/lmConf-1.json'), text);
  fs.writeFileSync(path.join(folder, 'portal.psgi'), 'use Lemonldap::NG::Portal::Main;\nLemonldap::NG::Portal::Main->run({});\n');
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, LLNG_DEFAULTCONFFILE: ini };
  // Several at once, as behind FastCGI: one alone would wait for a client that connects and says nothing.
  const args = ['--workers', '3', '--disable-keepalive', '--listen', `127.0.0.1:${port}`, path.join(folder, 'portal.psgi')];
  const isThere = async () => (await fetch(`${issuer}.well-known/openid-configuration`)).ok;
  const serve = async () => {
    const started = run('starman', args, { env, cwd: folder, log: path.join(folder, 'lemonldap.log') });
    await answers(issuer, started);
    await until(isThere, () => fs.readFileSync(started.log, 'utf8').slice(0, 4000));
    return started;
  };
  let portal = await serve();
  return {
    issuer,
    client: CLIENT,
    // Its metadata does not name the scope, though it has it.
    also: { SCOPES: 'openid profile email groups' },
    people: {
      insider: { name: 'Doctor Who', account: 'dwho@badwolf.org', groups: ['engineering', 'timelords', 'users'], answers: person('dwho') },
      outsider: { name: 'Rose Tyler', account: 'rtyler@badwolf.org', answers: person('rtyler') },
    },
    // Its button for no has a script put a minus there.
    saysNo: { ...person('msmith'), confirm: (key) => `-${key}` },
    signInPage: /id="userfield"/,
    /** All of its processes at once: each would look at the configuration in its own time. */
    async rotateKeys() {
      await promisify(execFile)('perl', [path.join(SCRIPTS, 'rotateOidcKeys')], { env, cwd: folder, timeout: 60_000 });
      await portal.stop();
      portal = await serve();
    },
    broken: broken({ issuer, callback }),
    stop: () => portal.stop(),
  };
}

/** Its demonstration accounts have their names for passwords. */
function person(login) {
  return { user: login, password: login };
}

function settings(folder) {
  return `[all]
logLevel = info
checkTime = 1
[configuration]
type = File
dirName = ${folder}/conf
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
`;
}

function configuration({ folder, issuer, callback, signedOut }) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const storage = (name) => ({
    Directory: path.join(folder, name),
    LockDirectory: path.join(folder, name, 'lock'),
    generateModule: 'Lemonldap::NG::Common::Apache::Session::Generate::SHA256',
  });
  return {
    cfgNum: 1,
    cfgAuthor: 'tests',
    cfgDate: 1,
    key: createHash('sha256').update('only for these tests').digest('hex').slice(0, 16),
    portal: issuer,
    domain: 'localhost',
    securedCookie: 0,
    authentication: 'Demo',
    userDB: 'Same',
    passwordDB: 'Demo',
    registerDB: 'Null',
    portalDisplayRegister: 0,
    portalDisplayResetPassword: 0,
    locationRules: { localhost: { default: 'accept' } },
    exportedHeaders: {},
    whatToTrace: 'uid',
    exportedVars: {},
    demoExportedVars: { uid: 'uid', cn: 'cn', mail: 'mail' },
    groups: { engineering: "$uid eq 'dwho'" },
    globalStorage: 'Apache::Session::File',
    globalStorageOptions: storage('sessions'),
    persistentStorage: 'Apache::Session::File',
    persistentStorageOptions: storage('persistent'),
    localSessionStorage: 'Cache::FileCache',
    localSessionStorageOptions: { namespace: 'sessions', default_expires_in: 600, cache_root: path.join(folder, 'cache'), cache_depth: 3 },
    issuerDBOpenIDConnectActivation: 1,
    oidcServiceAllowAuthorizationCodeFlow: 1,
    oidcServicePrivateKeySig: privateKey.export({ type: 'pkcs1', format: 'pem' }),
    oidcServicePublicKeySig: publicKey.export({ type: 'spki', format: 'pem' }),
    oidcServiceKeyIdSig: 'the-first-key',
    oidcRPMetaDataOptions: { portunus: client(callback, signedOut) },
    oidcRPMetaDataExportedVars: { portunus: { name: 'cn', email: 'mail', preferred_username: 'uid', groups: 'groups;string;auto' } },
    oidcRPMetaDataOptionsExtraClaims: { portunus: { groups: 'groups' } },
  };
}

function client(callback, signedOut) {
  return {
    oidcRPMetaDataOptionsClientID: CLIENT.id,
    oidcRPMetaDataOptionsClientSecret: CLIENT.secret,
    oidcRPMetaDataOptionsDisplayName: 'Portunus',
    oidcRPMetaDataOptionsRedirectUris: callback,
    oidcRPMetaDataOptionsPostLogoutRedirectUris: signedOut,
    oidcRPMetaDataOptionsIDTokenSignAlg: 'RS256',
    oidcRPMetaDataOptionsLogoutBypassConfirm: 1,
    oidcRPMetaDataOptionsBypassConsent: 0,
  };
}

function broken({ issuer, callback }) {
  const bare = issuer.replace(/\/$/, '');
  return [
    {
      what: 'no slash at the end of the issuer',
      change: { ISSUER: bare },
      wrong: { ISSUER: /names the issuer "http:\/\/localhost:\d+\/", the setting is "http:\/\/localhost:\d+"/ },
    },
    {
      what: 'another name of the host',
      change: { ISSUER: issuer.replace('localhost', '127.0.0.1') },
      wrong: { ISSUER: /names the issuer/ },
    },
    {
      what: 'the path of its OpenID Connect service',
      change: { ISSUER: `${bare}/oauth2` },
      wrong: { ISSUER: /no metadata document at .* \(401/ },
    },
    { what: 'another client', change: { ID: 'nobody' }, wrong: { SECRET: /invalid_client/ } },
    { what: 'another secret', change: { SECRET: 'not-the-secret' }, wrong: { SECRET: /invalid_client/ } },
    {
      what: 'another public address, of which it says nothing to somebody who is not signed in',
      change: ELSEWHERE,
      untold: ['redirect URI',
      'sign-out redirect URI'],
    },
    // It looks at the callback only once a person has signed in.
    { what: 'a callback that is not registered', change: { REDIRECT_URI: callback.replace('/lemonldap', '') }, untold: ['redirect URI'] },
  ];
}
