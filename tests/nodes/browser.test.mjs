// A person with a browser in front of nginx and three nodes, and a real OpenID provider. First a node dies before each request that the
// browser or the application makes: the person notices nothing. Then nodes die while requests are under way: who sees nginx's error page,
// or one that says to start again, begins again, and everything is as it should be. Run by `./test nodes`; the pages themselves are tested
// in ../browser.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { answerIn, Application, post } from '../browser/application.mjs';
import { launchChromium, person, take } from '../browser/chromium.mjs';
import { startProvider } from '../interop/provider.mjs';
import { freePort, gatewayBinary, scratch } from '../interop/processes.mjs';
import { startCluster } from './cluster.mjs';
import { row } from './summary.mjs';
import { Turns } from './turns.mjs';

const PATIENCE = { timeout: 180_000 };
/** Sign-ins with deaths under way, and how often a person begins one again. */
const ROUNDS = 6;
const ATTEMPTS = 4;
/** Sign-ins that may be begun again: the one that is told to, and of the others, each of whose requests is followed by a death, two each. */
const REPEATED_AT_MOST = 1 + 2 * ROUNDS;
/** The button that lets an application in. */
const YES = /^(Allow|Continue)$/;
/** A death comes this long after a request at most: about as long as requests take. */
const UNDER_WAY_MS = 15;
/** How long a person looks at pages of one sign-in. */
const ATTEND_MS = 120_000;

const folder = scratch('browser');
const pictures = path.join(folder, 'screenshots');
const complaints = [];
const count = { steps: 0, done: 0, repeated: 0 };
let provider;
let cluster;
let base;
let turns;
let browser;
let page;
let application;
/** What a request to the gateway meets. */
let harm = async () => {};
/** What happens while the provider keeps a node waiting for its next token. */
let waiting = async () => {};

before(async () => {
  fs.mkdirSync(pictures, { recursive: true });
  const port = await freePort();
  base = `http://localhost:${port}`;
  provider = await startProvider({
    port: await freePort(),
    redirectUris: [`${base}/auth/callback/testidp`, `${base}/auth/callback`],
    signedOutUris: [`${base}/auth/signout`],
    before: (request) => (request.url.startsWith('/token') ? waiting() : undefined),
  });
  cluster = await startCluster(folder, {
    port,
    env: {
      AUTH_PROVIDER: 'testidp',
      AUTH_TESTIDP_ID: provider.client.id,
      AUTH_TESTIDP_SECRET: provider.client.secret,
      AUTH_TESTIDP_ISSUER: provider.issuer,
      AUTH_SECRET: randomBytes(33).toString('base64'),
      LOG_LEVEL: 'debug',
    },
    mcp: { mcpServers: { dice: { command: gatewayBinary(), args: ['demo-server', 'dice'] } } },
    config: '',
  });
  turns = new Turns(cluster.nodes);
  browser = await launchChromium();
  application = await Application.listen('Harbour Notes');
}, { timeout: 180_000 });

after(async () => {
  await browser?.close();
  await application?.stop();
  await turns?.whole();
  await cluster?.stop();
  await provider?.stop();
});

/** Another person's browser, of which every request to the gateway meets the harm of the time, those after a redirect included. */
async function freshBrowser() {
  await page?.context().close();
  ({ page } = await person(browser, complaints));
  const watch = await page.context().newCDPSession(page);
  watch.on('Fetch.requestPaused', async ({ requestId }) => {
    await harm();
    // A request that the browser has given up meanwhile cannot go on.
    await watch.send('Fetch.continueRequest', { requestId }).catch((error) => {
      if (!/Invalid InterceptionId|closed/.test(error.message)) throw error;
    });
  });
  await watch.send('Fetch.enable', { patterns: [{ urlPattern: `${base}/*` }] });
}

/** What the browser complained of; the provider's pages are its own affair. */
const ours = () => complaints.filter((complaint) => !complaint.startsWith(provider.issuer));
const words = () => page.locator('body').innerText();
const whereabouts = () => page.url();
const press = (name) => page.getByRole('button', { name }).first().click();

/** Does what leads to another page, and waits for that. */
async function onward(act) {
  const there = page.waitForEvent('domcontentloaded');
  await act();
  await there;
}

function step(name, perform) {
  return test(name, PATIENCE, async () => {
    count.steps += 1;
    await perform();
    count.done += 1;
  });
}

/** Signs in at the provider, where no node is. */
async function signIn(login) {
  await page.locator('input[name=login]').fill(login);
  await press('Sign in');
}

/** A call of the application with its token. Answers with the response. */
async function call(tokens, message, session = {}) {
  await harm();
  return post(`${base}/mcp`, { jsonrpc: '2.0', ...message }, { authorization: `Bearer ${tokens.access_token}`, ...session });
}

/** The one tool, rolled in a session that is begun for it. */
async function roll(tokens) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'browser test', version: '1' } };
  const begun = await call(tokens, { id: 1, method: 'initialize', params });
  assert.equal(begun.status, 200, await begun.clone().text());
  const session = { 'mcp-session-id': begun.headers.get('mcp-session-id'), 'mcp-protocol-version': '2025-11-25' };
  await begun.text();
  assert.equal((await call(tokens, { method: 'notifications/initialized' }, session)).status, 202);
  const { tools } = (await answerIn(await call(tokens, { id: 2, method: 'tools/list' }, session))).result;
  const { result } = await answerIn(await call(tokens, { id: 3, method: 'tools/call', params: { name: tools[0].name, arguments: {} } }, session));
  assert.match(result.content[0].text, /\d/);
}

describe('a node dies before each request', () => {
  let tokens;

  before(async () => {
    harm = () => turns.next();
    await freshBrowser();
  });

  step('an application finds its way from a refused call, and registers', async () => {
    await harm();
    await application.discover(`${base}/mcp`);
    await harm();
    await application.register();
  });

  step('consent, sign-in at the provider, callback, code and token', async () => {
    const { url, answer } = application.authorization(whereabouts);
    assert.equal((await page.goto(url)).status(), 200);
    assert.match(await words(), /Harbour Notes/);
    await take(page, pictures, 'consent');
    await press('Allow');
    await signIn('alice');
    const back = await answer;
    assert.equal(back.searchParams.get('error'), null, back.search);
    await harm();
    tokens = await application.redeem(back);
  });

  step('the token begins a session, lists the tools and rolls the dice', () => roll(tokens));

  step('the front page shows who I am and what I allowed', async () => {
    await page.goto(`${base}/`);
    assert.match(await words(), /Alice Archer/);
    assert.match(await words(), /Harbour Notes/);
    await take(page, pictures, 'home');
  });

  step('an application that I allowed is let in again by one click', async () => {
    const { url, answer } = application.authorization(whereabouts);
    await page.goto(url);
    assert.match(await words(), /You allowed this application to act as you/);
    await press('Continue');
    const back = await answer;
    await harm();
    tokens = await application.redeem(back);
  });

  step('disconnected on the page, its token is refused by every node', async () => {
    await turns.whole();
    const status = (node) => node.post('/mcp', { authorization: `Bearer ${tokens.access_token}` });
    for (const node of cluster.nodes) assert.notEqual(await status(node), 401);
    await page.goto(`${base}/`);
    for (let attempt = 0; /Harbour Notes/.test(await words()); attempt += 1) {
      assert.ok(attempt < 10, 'the page still shows the application');
      await onward(() => press(/Disconnect/));
    }
    assert.match(await words(), /have not allowed any application/);
    await take(page, pictures, 'home-disconnected');
    await turns.whole();
    for (const node of cluster.nodes) {
      for (let attempt = 0; (await status(node)) !== 401; attempt += 1) {
        assert.ok(attempt < 100, `node ${node.n} still takes it`);
        await pause(100);
      }
    }
  });

  step('then it is asked about again, of somebody who is signed in', async () => {
    const { url, answer } = application.authorization(whereabouts);
    await page.goto(url);
    assert.match(await words(), /signed in as Alice Archer/);
    await take(page, pictures, 'consent-signed-in');
    await press('Allow');
    const back = await answer;
    await harm();
    await roll(await application.redeem(back));
  });

  step('signing out, here and at the provider', async () => {
    await page.goto(`${base}/`);
    await press(/sign out/i);
    await page.waitForURL((url) => url.origin !== base);
    await press(/sign me out/i);
    await page.waitForURL(`${base}/auth/signout**`);
    assert.match(await words(), /signed out/i);
    await take(page, pictures, 'signed-out');
    await page.goto(`${base}/`);
    assert.doesNotMatch(await words(), /Alice/);
    assert.deepEqual(ours(), []);
  });
});

describe('nodes die while requests are under way', () => {
  before(() => {
    harm = async () => {};
  });

  // The balancer asks another node, where the provider's answer was taken already: this browser's sign-in goes on all the same.
  step('the one that waits for the provider: the sign-in goes on at another node', async () => {
    await freshBrowser();
    const over = new Promise((resolve) => {
      waiting = async () => {
        waiting = async () => {};
        // One of them is the one.
        for (const _ of cluster.nodes) await turns.next();
        await turns.whole();
        resolve();
      };
    });
    // The sign-in goes on when the one dies; what the application asks for then would meet the deaths of the others.
    await roll(await whole('alice', over));
  });

  step('begun again after it was allowed', async () => roll(await whole('alice')));
});

describe('nodes die at any time', () => {
  before(() => {
    // The request goes on at once, and the death comes while it is answered, or a little later.
    harm = async () => turns.soon(Math.random() * UNDER_WAY_MS);
  });

  for (let round = 1; round <= ROUNDS; round += 1) {
    step(`sign-in ${round}, begun again if need be, ends with a token that works`, async () => {
      await freshBrowser();
      for (let attempt = 1; ; attempt += 1) {
        try {
          const tokens = await whole(round % 2 === 0 ? 'alice' : 'bob');
          return await unharmed(() => roll(tokens));
        } catch (error) {
          if (!(error instanceof Lost) || attempt === ATTEMPTS) throw error;
          count.repeated += 1;
          await turns.whole();
        }
      }
    });
  }
});

/** Something did not get through: the person sees a page that says so, or the application an answer. */
class Lost extends Error {}

/** One attempt at everything from the application's request to its token, which is not asked for before `calm`. */
async function whole(login, calm = undefined) {
  const { url, answer } = application.authorization(whereabouts);
  await page.goto(url);
  const back = await attend(login, answer);
  assert.equal(back.searchParams.get('error'), null, back.search);
  await harm();
  await calm;
  return application.redeem(back).catch((error) => {
    throw error.actual === 502 ? new Lost(error.message) : error;
  });
}

/** A person who answers whatever page there is, until the application has been answered, or the page says that nothing comes of this. */
async function attend(login, answer) {
  let over = false;
  answer.catch(() => {}).then(() => {
    over = true;
  });
  for (const until = Date.now() + ATTEND_MS; !over; ) {
    assert.ok(Date.now() < until, `neither an answer nor a page that says so: ${await words()}`);
    await page.waitForLoadState();
    const text = await words();
    if (/502 Bad Gateway|start again/i.test(text)) throw new Lost(text);
    // What was allowed before the answer got lost is asked about with one word.
    if (await page.getByRole('button', { name: YES }).count()) await onward(() => press(YES));
    else if (await page.locator('input[name=login]').count()) await onward(() => signIn(login));
    else await pause(50);
  }
  return answer;
}

/** Does `work` while no node dies. */
async function unharmed(work) {
  const before = harm;
  harm = async () => {};
  try {
    await turns.whole();
    return await work();
  } finally {
    harm = before;
  }
}

test('the browser, the nodes and the provider came to no harm', async () => {
  await turns.whole();
  const { steps, done, repeated } = count;
  console.log(`${steps} steps, ${turns.deaths} kills, ${repeated} sign-ins begun again; pictures in ${pictures}`);
  row('browser sign-in', { exercises: steps, kills: turns.deaths, repeated, cap: REPEATED_AT_MOST, violations: steps - done });
  const written = cluster.logs.map((log) => fs.readFileSync(log, 'utf8')).join('');
  assert.doesNotMatch(written, /panicked/);
  assert.deepEqual(provider.errors, []);
  // A page that says to start again is what is wanted; nginx's is what it is, and has no icon.
  assert.deepEqual(ours().filter((complaint) => !/status of (400|404|502)/.test(complaint)), []);
});
