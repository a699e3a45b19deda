// What every provider must get through with the gateway. Each exercise returns what it saw, in a few words, for the table that
// providers.test.mjs holds against what is expected. The doctor's part is read in doctor.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { Browser, textOf } from '../interop/agent.mjs';
import { connectSdkOne } from '../interop/clients.mjs';
import { textIn } from '../interop/exercise.mjs';
import { Keychain } from '../interop/sign_in.mjs';
import { check, settingsThat } from './doctor.mjs';

/** A client with a browser of its own, in which this person sits. */
function keychain(name, answers) {
  const keys = new Keychain({ name });
  keys.browser = new Browser({ decision: 'allow', ...answers });
  return keys;
}

/** Signs a person in at the front page, in a fresh browser. `/tools` is where they go: a page that asks nothing more. */
async function signIn({ base, provider }, answers) {
  await provider.ready?.();
  const browser = new Browser(answers);
  const page = await browser.visit(`${base}/auth/signin?return_to=/tools`);
  return { browser, page, text: textOf(page.body) };
}

async function insiderSignsIn(setup) {
  const { base } = setup;
  const { answers, name } = setup.provider.people.insider;
  const { browser, page, text } = await signIn(setup, answers);
  assert.equal(page.status, 200, `${text}\n${browser.story()}`);
  assert.equal(page.url.href, `${base}/tools`, `${text}\n${browser.story()}`);
  const front = await browser.look(base);
  assert.match(textOf(front.body), new RegExp(`Signed in as ${name}`));
  return { browser, front };
}

/** A client connects for a person of the group, asks for a tool, and goes on without them when its access token ends. */
export async function clientSignsIn({ base, provider }) {
  await provider.ready?.();
  const keys = keychain('a client', provider.people.insider.answers);
  const client = await connectSdkOne(`${base}/mcp`, keys);
  assert.match(textIn(await client.call('dice_roll', {})), /\d/);
  keys.spoilAccessToken();
  assert.match(textIn(await client.call('dice_roll', {})), /\d/);
  assert.equal(keys.signIns, 1);
  assert.equal(keys.refreshes, 1);
  await client.close();
  return 'passed';
}

/** The groups of the provider are those that the front page shows, all of them and no others. */
export async function groupsArrive(setup) {
  const { front } = await insiderSignsIn(setup);
  const list = /<ul class="groups"[\s\S]*?<\/ul>/.exec(front.body)?.[0] ?? '';
  const groups = [...list.matchAll(/<li[^>]*>([\s\S]*?)<\/li>/g)].map(([, item]) => textOf(item)).sort();
  assert.deepEqual(groups, setup.provider.people.insider.groups);
  return 'passed';
}

/** A person who is in none of the groups that may sign in is told so, and by which account. */
export async function outsiderIsRefused(setup) {
  const { base, provider } = setup;
  const { outsider } = provider.people;
  const { page, browser, text } = await signIn(setup, outsider.answers);
  assert.equal(page.status, 403, `${text}\n${browser.story()}`);
  assert.match(text, /This account may not sign in/);
  assert.ok(text.includes(`You came as ${outsider.account}`), text);
  assert.doesNotMatch(textOf((await browser.look(base)).body), /Signed in as/);
  return 'passed';
}

/** A person who says no at the provider is told what happened. Where the provider keeps them, the gateway hears nothing. None is let in. */
export async function noAtProvider(setup) {
  const { base, provider } = setup;
  const { page, browser, text } = await signIn(setup, provider.saysNo);
  assert.doesNotMatch(textOf((await browser.look(base)).body), /Signed in as/);
  if (page.url.origin !== base) {
    assert.match(text, provider.saysNoThere);
    return 'the provider keeps them';
  }
  assert.equal(page.status, 403, `${text}\n${browser.story()}`);
  assert.match(text, /You could not be signed in/);
  return 'passed';
}

/** Signing out here signs out there: the next person to sign in is asked who they are. */
export async function signsOut(setup) {
  const { base, provider } = setup;
  const { browser } = await insiderSignsIn(setup);
  if (provider.signInPage) await needsNoPassword(setup, browser);
  const { end_session_endpoint: there } = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json();
  const page = await browser.visit(base);
  assert.equal(`${page.url.origin}${page.url.pathname}`, `${base}/auth/signout`, browser.story());
  assert.match(textOf(page.body), /You are signed out/);
  assert.doesNotMatch(textOf((await browser.look(base)).body), /Signed in as/);
  if (!there) {
    assert.match(textOf(page.body), /You may still be signed in at your identity provider/);
    return 'here alone';
  }
  assert.match(textOf(page.body), /Here and at Acme/, browser.story());
  assert.ok(browser.trail.some(({ url }) => url.startsWith(there)), browser.story());
  const next = await browser.look(`${base}/auth/signin?return_to=/tools`);
  assert.notEqual(next.url.origin, base, 'nobody is asked who they are');
  assert.match(next.body, provider.signInPage);
  return 'passed';
}

/** A browser with only the provider's cookies left is signed in again without a page of the provider: what a sign-out there is to end. */
async function needsNoPassword({ base, provider }, browser) {
  await provider.ready?.();
  const again = new Browser({});
  again.cookies = browser.cookies.filter(({ name }) => !name.includes('portunus'));
  const names = browser.cookies.map(({ name }) => name).join();
  assert.ok(again.cookies.length > 0 && again.cookies.length < browser.cookies.length, names);
  const page = await again.look(`${base}/auth/signin?return_to=/tools`);
  assert.equal(page.url.href, `${base}/tools`, again.story());
}

/** A secret that the provider does not take is not the person's fault: the page says so, and the log says what to look at. */
export async function wrongSecretIsSaid(setup) {
  let advice;
  const nothing = () => {};
  await setup.gatewayWith({ SECRET: 'not-the-secret' }, nothing, async (gateway) => {
    const { page, text, browser } = await signIn(setup, setup.provider.people.insider.answers);
    assert.equal(page.status, 502, `${text}\n${browser.story()}`);
    assert.match(text, /Sign-in is not set up correctly/);
    advice = fs.readFileSync(gateway.log, 'utf8').split('\n').findLast((line) => line.includes('"sign-in failed"'));
    assert.ok(advice, 'the log says nothing of it');
  });
  return advice.includes(`AUTH_${setup.name.toUpperCase()}_SECRET`) ? 'passed' : 'the log does not name the secret';
}

/** The provider changes its keys; the gateway, which has the old ones in memory, lets the next one in. */
export async function newKeys(setup) {
  const { provider } = setup;
  const kids = async () => {
    const { jwks_uri: at } = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json();
    return (await (await fetch(at)).json()).keys.map(({ kid }) => kid);
  };
  await insiderSignsIn(setup);
  const before = await kids();
  await provider.rotateKeys();
  const added = (await kids()).filter((kid) => !before.includes(kid));
  assert.ok(added.length > 0, `no new key beside ${before}`);
  await insiderSignsIn(setup);
  return 'passed';
}

/** What is right is called right. Returns what is not: what is called wrong, and what cannot be told. */
export async function doctorFindsNothing({ folder, provider, settings }) {
  const { code, findings, output } = await check(folder, settings());
  assert.ok(findings.length >= 4, output);
  const [wrong, untold] = ['WRONG', '?'].map((state) => settingsThat(findings, state));
  assert.equal(code, wrong.length > 0 ? 1 : 0, output);
  const said = [...wrong.map((setting) => `WRONG ${setting}`), ...untold.map((setting) => `? ${setting}`)];
  return said.length > 0 ? said.join(', ') : 'passed';
}

/** What is wrong is called wrong, and nothing else is. Returns how many broken settings there were. */
export async function doctorFindsWhatIsBroken(setup) {
  const mistakes = [];
  for (const broken of setup.provider.broken) {
    try {
      await oneIsFound(broken, setup);
    } catch (error) {
      mistakes.push(`${broken.what}: ${error.message}`);
    }
  }
  assert.ok(mistakes.length === 0, mistakes.join('\n\n'));
  return `${setup.provider.broken.length} of ${setup.provider.broken.length}`;
}

/** What is right after all is proved so: a person signs in with it. `notBy` is who has come by the provider's public address since. */
async function oneIsFound({ signsIn = false, notBy = [], ...broken }, setup) {
  const { folder, settings } = setup;
  if (!signsIn) return judged(broken, folder, settings);
  const begin = () => {
    notBy.length = 0;
  };
  return setup.gatewayWith(broken.change, begin, async () => {
    await groupsArrive(setup);
    await judged(broken, folder, settings);
    const others = notBy.filter((caller) => !caller.startsWith('interop-browser/'));
    assert.deepEqual(others, [], 'others than browsers came by the public address');
  });
}

async function judged({ change, wrong = {}, untold = [] }, folder, settings) {
  const { code, findings, output } = await check(folder, settings(change));
  assert.deepEqual(settingsThat(findings, 'WRONG'), Object.keys(wrong).sort(), output);
  assert.equal(code, Object.keys(wrong).length > 0 ? 1 : 0, output);
  for (const [setting, words] of Object.entries(wrong)) {
    const said = findings.filter((finding) => finding.state === 'WRONG' && finding.setting === setting).map(({ found }) => found);
    assert.ok(said.some((found) => words.test(found)), `${setting}: ${words} is not in ${said.join(' | ')}`);
  }
  for (const setting of untold) assert.ok(settingsThat(findings, '?').includes(setting), `${setting} cannot be told\n${output}`);
}
