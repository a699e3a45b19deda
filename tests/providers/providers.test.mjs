// Identity providers that people run themselves, each set up the way its own documentation does it, one after the other, for a
// gateway each.
// All of them go through the same exercises (exercises.mjs); how each is installed and started stands in its own file. The table at the end
// says what each came to, and is held against what is expected. Run by `./test providers`.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { freePort, gatewayBinary, scratch, startGateway } from '../interop/processes.mjs';
import * as canaille from './canaille.mjs';
import * as dex from './dex.mjs';
import * as exercises from './exercises.mjs';
import * as keycloak from './keycloak.mjs';
import * as lemonldap from './lemonldap.mjs';

const EXERCISES = [
  ['check', exercises.doctorFindsNothing],
  ['client', exercises.clientSignsIn],
  ['groups', exercises.groupsArrive],
  ['outsider', exercises.outsiderIsRefused],
  ['says no', exercises.noAtProvider],
  ['sign-out', exercises.signsOut],
  ['wrong secret', exercises.wrongSecretIsSaid],
  ['new keys', exercises.newKeys],
  ['broken', exercises.doctorFindsWhatIsBroken],
];

/** What each cell of the table must say where it is not `passed`. */
const EXPECTED = {
  keycloak: { broken: '17 of 17' },
  // Its answers without a page lack `iss`, those to people have it.
  canaille: { check: '? redirect URI, ? sign-out redirect URI', broken: '8 of 8' },
  // It looks at the callback when a person has signed in, and not before.
  lemonldap: { check: '? redirect URI', broken: '7 of 7' },
  // It has no sign-out, tells people itself that they said no, and asks the provider behind it before it looks at anything but the request.
  dex: { check: '? redirect URI', 'says no': 'the provider keeps them', 'sign-out': 'here alone', broken: '8 of 8' },
};

const auth = randomBytes(33).toString('base64');
const results = new Map();
const took = new Map();

for (const { name, start } of [keycloak, canaille, lemonldap, dex]) {
  describe(name, () => {
    const folder = scratch(name);
    const setup = { name, folder };
    let began;

    before(async () => {
      began = Date.now();
      const port = await freePort();
      setup.base = `http://localhost:${port}`;
      setup.provider = await start({ folder, callback: `${setup.base}/auth/callback/${name}`, signedOut: `${setup.base}/auth/signout` });
      setup.settings = (change) => settings(name, setup, change);
      setup.gatewayWith = (...how) => gatewayWith(setup, ...how);
      setup.gateway = await startGateway(folder, { port, env: setup.settings(), mcp: servers(), config: '' });
    }, { timeout: 180_000 });

    after(async () => {
      await setup.gateway?.stop();
      await setup.provider?.stop();
      took.set(name, Math.round((Date.now() - began) / 1000));
    });

    for (const [exercise, run] of EXERCISES) {
      test(exercise, { timeout: 180_000 }, async () => {
        results.set(`${name} ${exercise}`, await run(setup));
      });
    }

    test('no secret stands in the log', () => {
      const log = fs.readFileSync(setup.gateway.log, 'utf8');
      for (const secret of [auth, setup.provider.client.secret]) assert.ok(!log.includes(secret), 'a secret was logged');
      assert.doesNotMatch(log, /panicked/);
    });
  });
}

test('the table', () => {
  const providers = Object.keys(EXPECTED);
  const cell = (name, exercise) => results.get(`${name} ${exercise}`) ?? 'FAILED';
  const rows = [['', ...providers], ...EXERCISES.map(([exercise]) => [exercise, ...providers.map((name) => cell(name, exercise))])];
  rows.push(['seconds', ...providers.map((name) => String(took.get(name)))]);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  console.log(rows.map((row) => row.map((text, column) => text.padEnd(widths[column])).join('  ').trimEnd()).join('\n'));
  for (const name of providers) {
    const came = Object.fromEntries(EXERCISES.map(([exercise]) => [exercise, cell(name, exercise)]));
    const expected = Object.fromEntries(EXERCISES.map(([exercise]) => [exercise, EXPECTED[name][exercise] ?? 'passed']));
    assert.deepEqual(came, expected, name);
  }
});

function servers() {
  return { mcpServers: { dice: { command: gatewayBinary(), args: ['demo-server', 'dice'] } } };
}

/** The gateway's environment for this provider: people of the group `engineering` may sign in. `change` is what differs. */
function settings(name, { base, provider }, { BASE_URL = base, ...change } = {}) {
  const { client, issuer, also } = provider;
  const own = { ID: client.id, SECRET: client.secret, ISSUER: issuer, LABEL: 'Acme', ALLOWED_GROUPS: 'engineering', ...also, ...change };
  const variables = Object.entries(own).map(([key, value]) => [`AUTH_${name.toUpperCase()}_${key}`, value]);
  return { AUTH_SECRET: auth, AUTH_PROVIDER: name, BASE_URL, LOG_LEVEL: 'debug', ...Object.fromEntries(variables) };
}

/** A gateway with a changed setting runs in place of the other: `begin` while neither runs, `during` while it does. */
async function gatewayWith(setup, change, begin, during) {
  await setup.gateway.stop();
  begin();
  const folder = path.join(setup.folder, 'changed');
  fs.mkdirSync(folder, { recursive: true });
  const port = Number(new URL(setup.base).port);
  const start = (where, env) => startGateway(where, { port, env, mcp: servers(), config: '' });
  const changed = await start(folder, setup.settings(change));
  try {
    await during(changed);
  } finally {
    await changed.stop();
    setup.gateway = await start(setup.folder, setup.settings());
  }
}
