// A person with a browser in front of the demo: discovery, registration, consent, sign-in, callback, token, a listed tool; and every
// page as it looks, light, dark and on a narrow screen. JavaScript is off throughout: no page of ours needs it. The same through several
// gateways: ../nodes/browser.test.mjs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { freePort, gatewayBinary, scratch, startDemo, startGateway } from '../interop/processes.mjs';
import { answerIn, Application, post } from './application.mjs';
import { launchChromium, person, take } from './chromium.mjs';

const folder = scratch('main');
const pictures = process.env.SCREENSHOTS ?? path.join(folder, 'screenshots');
let demo;
let base;
let browser;
let context;
let page;
let application;
/** What went wrong in the browser's own eyes: blocked by a policy, or sent elsewhere. */
const complaints = [];

before(async () => {
  fs.rmSync(pictures, { recursive: true, force: true });
  fs.mkdirSync(pictures, { recursive: true });
  demo = await startDemo(folder);
  base = demo.baseUrl;
  browser = await launchChromium();
  application = await Application.listen('Harbour Notes');
  await freshBrowser();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await application?.stop();
  await demo?.stop();
});

/** Another person's browser. */
async function freshBrowser() {
  await context?.close();
  ({ context, page } = await person(browser, complaints));
}

const picture = (name) => take(page, pictures, name);
const words = () => page.locator('body').innerText();

describe('the first time', () => {
  let tokens;

  test('an application finds its way from a refused call, and registers', async () => {
    await application.discover(`${base}/mcp`);
    await application.register();
  });

  test('consent comes before sign-in, and says who asks for what and where the answer goes', { timeout: 60_000 }, async () => {
    const { url, answer } = application.authorization(() => page.url());
    const opened = await page.goto(url);
    assert.equal(opened.status(), 200);
    const policy = opened.headers()['content-security-policy'];
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    const text = await words();
    assert.match(text, /Harbour Notes/);
    assert.match(text, /127\.0\.0\.1/);
    assert.match(text, /dice/);
    assert.match(text, /uuid/);
    assert.doesNotMatch(text, /Alice|Bob/, 'nobody is signed in yet');
    await picture('consent');

    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.getByRole('button', { name: /Alice/ }).waitFor();
    await picture('who');
    await page.getByRole('button', { name: /Alice/ }).click();
    const back = await answer;
    assert.equal(back.searchParams.get('error'), null, back.search);
    tokens = await application.redeem(back);
    assert.equal(tokens.token_type.toLowerCase(), 'bearer');
  });

  test('the token lists the tools and rolls the dice', { timeout: 60_000 }, async () => {
    const authorized = { authorization: `Bearer ${tokens.access_token}` };
    const begun = await post(
      `${base}/mcp`,
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'browser test', version: '1' } },
      },
      authorized,
    );
    assert.equal(begun.status, 200);
    const session = { ...authorized, 'mcp-session-id': begun.headers.get('mcp-session-id'), 'mcp-protocol-version': '2025-11-25' };
    assert.equal((await answerIn(begun)).result.protocolVersion, '2025-11-25');
    await post(`${base}/mcp`, { jsonrpc: '2.0', method: 'notifications/initialized' }, session);
    const { tools } = (await answerIn(await post(`${base}/mcp`, { jsonrpc: '2.0', id: 2, method: 'tools/list' }, session))).result;
    const roll = tools.find(({ name }) => name.startsWith('dice_'));
    assert.ok(roll && tools.some(({ name }) => name.startsWith('uuid_')), JSON.stringify(tools.map(({ name }) => name)));
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: roll.name, arguments: {} } };
    assert.match((await answerIn(await post(`${base}/mcp`, call, session))).result.content[0].text, /\d/);
  });
});

describe('once signed in', () => {
  test('home shows my servers, my clients and how to connect', { timeout: 60_000 }, async () => {
    await page.goto(`${base}/`);
    const text = await words();
    assert.match(text, /Alice/);
    assert.match(text, /dice/);
    assert.match(text, /Harbour Notes/);
    assert.ok(text.includes(`${base}/mcp`), text);
    await picture('home');
  });

  test('the same application, on this computer, is let in again by one click on a short page', { timeout: 60_000 }, async () => {
    const { url, answer } = application.authorization(() => page.url());
    await page.goto(url);
    const text = await words();
    assert.match(text, /Continue with Harbour Notes\?/);
    assert.match(text, /You allowed this application to act as you today/);
    assert.match(text, /127\.0\.0\.1/);
    await picture('continue');
    await page.getByRole('button', { name: 'Continue', exact: true }).click();
    await application.redeem(await answer);
  });

  test('a no opens no program: the page says that nothing was allowed', { timeout: 60_000 }, async () => {
    const editor = new Application();
    Object.assign(editor, { name: 'Claude', redirectUri: 'com.evil.app://claude.ai/api/mcp/auth_callback' });
    await editor.discover(`${base}/mcp`);
    await editor.register();
    const { url } = editor.authorization(() => page.url());
    await page.goto(url);
    const asked = await words();
    assert.match(asked, /opens a program on your own computer, whichever claims com\.evil\.app: addresses/);
    assert.equal(await page.locator('.destination strong').innerText(), 'com.evil.app:');
    await picture('consent-program');
    await page.getByRole('button', { name: 'Do not allow' }).click();
    await page.getByRole('heading', { name: 'Nothing was allowed' }).waitFor();
    assert.equal(new URL(page.url()).origin, base);
    assert.match(await words(), /You can close this window/);
    await picture('not-told');
  });

  test('another application is, with my name on the page, and can be turned away', { timeout: 60_000 }, async () => {
    const other = await Application.listen('<b>Bold & "Brash"</b>');
    try {
      await other.discover(`${base}/mcp/dice`);
      await other.register();
      const { url, answer } = other.authorization(() => page.url());
      await page.goto(url);
      const text = await words();
      assert.ok(text.includes(other.name), 'the name is shown as text');
      assert.equal(await page.locator('main b').count(), 0, 'and is never markup');
      assert.match(text, /Alice/);
      assert.doesNotMatch(text, /uuid/, 'only the server it asked for');
      await picture('consent-signed-in');
      await page.getByRole('button', { name: 'Do not allow' }).click();
      const back = await answer;
      assert.equal(back.searchParams.get('error'), 'access_denied');
      assert.equal(back.searchParams.get('iss'), other.metadata.issuer);
      assert.equal(back.searchParams.get('state'), other.state);
      assert.equal(back.searchParams.get('code'), null);
    } finally {
      await other.stop();
    }
  });

  test('signing out says so, and home asks to sign in again', { timeout: 60_000 }, async () => {
    await page.goto(`${base}/`);
    await page.getByRole('button', { name: /sign out/i }).click();
    await page.waitForLoadState();
    assert.match(await words(), /signed out/i);
    await picture('signed-out');
    await page.goto(`${base}/`);
    assert.doesNotMatch(await words(), /Alice/);
  });
});

describe('coming without an application', () => {
  test('signing in leads home; with one provider there is nothing to choose', { timeout: 60_000 }, async () => {
    await freshBrowser();
    await page.goto(`${base}/auth/signin`);
    await page.getByRole('button', { name: /Bob/ }).click();
    await page.waitForURL(`${base}/`);
    assert.match(await words(), /Bob/);
    assert.doesNotMatch(await words(), /Harbour Notes/, 'that is an application of Alice');
  });

  test('with two providers one is chosen; one that is down is a page that says so', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const nobody = `http://localhost:${await freePort()}`;
    const gateway = await startGateway(scratch('two-providers'), {
      port,
      env: {
        AUTH_SECRET: randomBytes(33).toString('base64'),
        AUTH_PROVIDER: 'okta,harbour',
        AUTH_OKTA_ID: 'one',
        AUTH_OKTA_SECRET: 'secret-one',
        AUTH_OKTA_ISSUER: nobody,
        AUTH_HARBOUR_ID: 'two',
        AUTH_HARBOUR_SECRET: 'secret-two',
        AUTH_HARBOUR_ISSUER: nobody,
      },
      mcp: { mcpServers: { dice: { command: gatewayBinary(), args: ['demo-server', 'dice'] } } },
      config: '{}\n',
    });
    try {
      await freshBrowser();
      await page.goto(`${gateway.baseUrl}/auth/signin`);
      assert.equal(await page.getByRole('link', { name: /continue with/i }).count(), 2);
      await picture('signin');
      await page.getByRole('link', { name: /okta/i }).click();
      await page.getByRole('heading', { level: 1 }).waitFor();
      assert.equal(new URL(page.url()).origin, gateway.baseUrl);
      await picture('error-provider');
    } finally {
      await gateway.stop();
    }
  });
});

describe('when something is wrong', () => {
  test('an unknown client gets a page, not a redirect', { timeout: 60_000 }, async () => {
    const { url } = application.authorization(() => page.url());
    const unknown = new URL(url);
    unknown.searchParams.set('client_id', 'nobody-registered-this');
    const opened = await page.goto(unknown.href);
    assert.equal(opened.status(), 400);
    assert.equal(new URL(page.url()).origin, base);
    await picture('error');
  });

  test('so does a redirect URI that is not registered', { timeout: 60_000 }, async () => {
    const { url } = application.authorization(() => page.url());
    const elsewhere = new URL(url);
    elsewhere.searchParams.set('redirect_uri', `${application.redirectUri}/elsewhere`);
    const opened = await page.goto(elsewhere.href);
    assert.equal(opened.status(), 400);
    assert.equal(new URL(page.url()).origin, base);
    await picture('error-redirect');
  });

  test('a page that is not there', { timeout: 60_000 }, async () => {
    const opened = await page.goto(`${base}/no-such-page`);
    assert.equal(opened.status(), 404);
  });

  test('the browser had nothing to complain about', () => {
    const ours = complaints.filter((complaint) => !/status of (400|404|503)/.test(complaint));
    assert.deepEqual(ours, []);
  });
});
