// Dex, as companies put it in front of a directory of their own: its YAML file, memory for storage, and one connector, which leads on to
// another OpenID provider (the one of tests/interop). `./test` builds it with Go. The other providers have files of their own beside
// this one; what is asked of all of them stands in providers.test.mjs.
import fs from 'node:fs';
import path from 'node:path';

import { startProvider } from '../interop/provider.mjs';
import { answers, freePort, start as run } from '../interop/processes.mjs';
import { ELSEWHERE, must, until } from './tools.mjs';

export const name = 'dex';

const CLIENT = { id: 'portunus', secret: 'a-secret-known-to-these-tests' };

export async function start({ folder, callback }) {
  const program = must('DEX');
  const [port, upstreamPort] = [await freePort(), await freePort()];
  const issuer = `http://localhost:${port}/dex`;
  const upstream = await startProvider({ port: upstreamPort, redirectUris: [`${issuer}/callback`], signedOutUris: [], pkce: false });
  const file = path.join(folder, 'dex.json');
  // JSON is YAML.
  fs.writeFileSync(file, JSON.stringify(config({ issuer, port, upstream, callback }), null, 2));
  const serve = async () => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME };
    const server = run(program, ['serve', file], { env, cwd: folder, log: path.join(folder, 'dex.log') });
    await answers(`${issuer}/.well-known/openid-configuration`, server);
    return server;
  };
  let server = await serve();
  const keys = async () => JSON.stringify(await (await fetch(`${issuer}/keys`)).json());
  return {
    issuer,
    client: CLIENT,
    people: {
      insider: { name: 'Alice Archer', account: 'alice@example.com', groups: ['admins', 'engineering'], answers: person('alice') },
      outsider: { name: 'Bob Baker', account: 'bob@example.com', answers: person('bob') },
    },
    // The first of its two forms, turned into the second.
    saysNo: { ...person('carol'), approval: () => 'rejected' },
    saysNoThere: /Approval rejected/,
    /** Memory forgets: a start makes new keys. Its own rotation comes with the hours. */
    async rotateKeys() {
      const before = await keys();
      await server.stop();
      server = await serve();
      await until(async () => (await keys()) !== before, () => 'the same keys');
    },
    broken: broken({ issuer, callback }),
    async stop() {
      await server.stop();
      await upstream.stop();
    },
  };
}

function person(login) {
  return { login, password: 'not looked at' };
}

function config({ issuer, port, upstream, callback }) {
  return {
    issuer,
    storage: { type: 'memory' },
    web: { http: `127.0.0.1:${port}` },
    staticClients: [{ id: CLIENT.id, secret: CLIENT.secret, name: 'Portunus', redirectURIs: [callback] }],
    connectors: [
      {
        type: 'oidc',
        id: 'acme',
        name: 'Acme',
        config: {
          issuer: upstream.issuer,
          clientID: upstream.client.id,
          clientSecret: upstream.client.secret,
          redirectURI: `${issuer}/callback`,
          scopes: ['profile', 'email', 'groups'],
          insecureEnableGroups: true,
        },
      },
    ],
  };
}

function broken({ issuer, callback }) {
  return [
    {
      what: 'a slash at the end of the issuer',
      change: { ISSUER: `${issuer}/` },
      wrong: { ISSUER: /names the issuer "http:\/\/localhost:\d+\/dex", the setting is "http:\/\/localhost:\d+\/dex\/"/ },
    },
    {
      what: 'the issuer without its path',
      change: { ISSUER: issuer.replace('/dex', '') },
      wrong: { ISSUER: /no metadata document at .* \(404/ },
    },
    {
      what: 'another name of the host',
      change: { ISSUER: issuer.replace('localhost', '127.0.0.1') },
      wrong: { ISSUER: /names the issuer/ },
    },
    { what: 'another client', change: { ID: 'nobody' }, wrong: { 'redirect URI': /Invalid client_id/, SECRET: /invalid_client/ } },
    { what: 'another public address', change: ELSEWHERE, wrong: { 'redirect URI': /Unregistered redirect_uri/ } },
    { what: 'another secret', change: { SECRET: 'not-the-secret' }, wrong: { SECRET: /invalid_client/ } },
    {
      what: 'a callback that is not registered',
      change: { REDIRECT_URI: callback.replace('/dex', '') },
      wrong: { 'redirect URI': /Unregistered redirect_uri/ },
    },
    {
      what: 'a scope that it does not have',
      change: { SCOPES: 'openid profile email nonsense' },
      wrong: { 'redirect URI': /invalid_scope/ },
    },
  ];
}
