// A person with a browser in front of the demo: discovery, registration, consent, sign-in, callback, token, a listed tool; and every
// page as it looks, light, dark and on a narrow screen. JavaScript is off throughout: no page of ours needs it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { freePort, gatewayBinary, scratch, startDemo, startGateway } from '../interop/world.mjs';

const folder = scratch('main');
const pictures = process.env.SCREENSHOTS ?? path.join(folder, 'screenshots');
const PATIENCE = 20_000;
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
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  });
  application = await Application.listen('Harbour Notes');
  await freshBrowser();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await application?.stop();
  await demo?.stop();
});

/** Another person's browser: no cookies, a window of ordinary size. */
async function freshBrowser() {
  await context?.close();
  context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1024, height: 768 }, deviceScaleFactor: 1 });
  context.setDefaultTimeout(PATIENCE);
  page = await context.newPage();
  page.on('console', (message) => complaints.push(`${page.url()}: ${message.text()}`));
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== 'data:' && !['localhost', '127.0.0.1'].includes(hostname)) complaints.push(`asked ${request.url()}`);
  });
}

/** A native application: registers itself, opens the browser, and listens on a loopback port for the answer. */
class Application {
  static async listen(name) {
    const made = new Application();
    const port = await freePort();
    made.name = name;
    made.redirectUri = `http://127.0.0.1:${port}/callback`;
    made.server = http.createServer((request, response) => {
      const url = new URL(request.url, made.redirectUri);
      if (url.pathname === '/callback') made.arrived?.(url);
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><link rel="icon" href="data:,"><title>Back</title><h1>You can close this window.</h1>');
    });
    await new Promise((resolve, reject) => made.server.listen(port, '127.0.0.1', resolve).once('error', reject));
    return made;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** From a refused call to the authorization server's metadata, as RFC 9728 and RFC 8414 lay the way. */
  async discover(resource) {
    const refused = await post(resource, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
    assert.equal(refused.status, 401);
    const challenge = refused.headers.get('www-authenticate');
    const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge)[1];
    // The challenge says what this call needs; clients ask for that before all that the resource has.
    this.scope = / scope="([^"]+)"/.exec(challenge)[1];
    this.resource = await (await fetch(metadataUrl)).json();
    const issuer = this.resource.authorization_servers[0];
    this.metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
    assert.equal(this.metadata.issuer, issuer);
  }

  async register() {
    const answer = await fetch(this.metadata.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: this.name,
        redirect_uris: [this.redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      }),
    });
    assert.equal(answer.status, 201);
    this.clientId = (await answer.json()).client_id;
  }

  /** The URL to open, and the answer to come. */
  authorization() {
    this.verifier = randomBytes(32).toString('base64url');
    this.state = randomBytes(16).toString('base64url');
    const url = new URL(this.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope: this.scope,
      state: this.state,
      resource: this.resource.resource,
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }).toString();
    const answer = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no callback; the browser is at ${page.url()}`)), PATIENCE);
      this.arrived = (back) => {
        clearTimeout(late);
        resolve(back);
      };
    });
    answer.catch(() => {});
    return { url: url.href, answer };
  }

  async redeem(back) {
    assert.equal(back.searchParams.get('state'), this.state);
    assert.equal(back.searchParams.get('iss'), this.metadata.issuer);
    const answer = await fetch(this.metadata.token_endpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: back.searchParams.get('code'),
        redirect_uri: this.redirectUri,
        client_id: this.clientId,
        code_verifier: this.verifier,
        resource: this.resource.resource,
      }),
    });
    assert.equal(answer.status, 200);
    return answer.json();
  }
}

function post(url, body, headers = {}) {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
  });
}

/** The one JSON-RPC answer of a response, whether it came as JSON or as a stream. */
async function answerIn(response) {
  const text = await response.text();
  if (response.headers.get('content-type').startsWith('application/json')) return JSON.parse(text);
  return text
    .split('\n')
    .filter((line) => line.startsWith('data:') && line.length > 6)
    .map((line) => JSON.parse(line.slice(5)))
    .find((message) => 'result' in message || 'error' in message);
}

/** The page as it is now, in every look, and the few things every page must have. */
async function picture(name) {
  assert.equal(await page.locator('html').getAttribute('lang'), 'en', `${name}: html lang`);
  assert.equal(await page.locator('h1').count(), 1, `${name}: one h1`);
  assert.ok((await page.title()).length > 0, `${name}: title`);
  assert.equal(await page.locator('script').count(), 0, `${name}: no script`);
  assert.equal(await page.locator('[style]').count(), 0, `${name}: no inline style`);
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: path.join(pictures, `${name}-${scheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 375, height: 740 });
  await page.screenshot({ path: path.join(pictures, `${name}-375.png`), fullPage: true });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 375, `${name}: ${width} pixels wide on a screen of 375`);
  await page.setViewportSize({ width: 1024, height: 768 });
}

const words = () => page.locator('body').innerText();

describe('the first time', () => {
  let tokens;

  test('an application finds its way from a refused call, and registers', async () => {
    await application.discover(`${base}/mcp`);
    await application.register();
  });

  test('consent comes before sign-in, and says who asks for what and where the answer goes', { timeout: 60_000 }, async () => {
    const { url, answer } = application.authorization();
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

  test('the same application is not asked about again', { timeout: 60_000 }, async () => {
    const { url, answer } = application.authorization();
    await page.goto(url);
    await application.redeem(await answer);
  });

  test('another application is, with my name on the page, and can be turned away', { timeout: 60_000 }, async () => {
    const other = await Application.listen('<b>Bold & "Brash"</b>');
    try {
      await other.discover(`${base}/mcp/dice`);
      await other.register();
      const { url, answer } = other.authorization();
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
    const { url } = application.authorization();
    const unknown = new URL(url);
    unknown.searchParams.set('client_id', 'nobody-registered-this');
    const opened = await page.goto(unknown.href);
    assert.equal(opened.status(), 400);
    assert.equal(new URL(page.url()).origin, base);
    await picture('error');
  });

  test('so does a redirect URI that is not registered', { timeout: 60_000 }, async () => {
    const { url } = application.authorization();
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
