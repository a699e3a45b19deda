// The official conformance runner's `authorization` command against the running demo. The runner registers nothing and has no
// browser: this file registers its client and walks through sign-in and consent with the browser of tests/interop.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

import { Browser } from '../interop/agent.mjs';
import { freePort, scratch, startDemo } from '../interop/processes.mjs';
import { NODE, RUNNER } from './runner.mjs';

const folder = scratch('main');
let demo;

before(async () => {
  demo = await startDemo(folder);
});

after(async () => {
  await demo?.stop();
});

async function register(redirect, method) {
  const answer = await fetch(`${demo.baseUrl}/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: `Conformance runner (${method})`,
      redirect_uris: [redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: method,
    }),
  });
  assert.equal(answer.status, 201);
  return answer.json();
}

/** Runs the command; opens the authorization URL it prints. Answers with its exit code, its words and its checks by id. */
async function runAuthorization(port, client, results, extra) {
  const args = ['authorization', '--url', demo.baseUrl, '--client-id', client.client_id, '--port', String(port), '--output-dir', results, ...extra];
  const runner = spawn(NODE, [RUNNER, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => runner.on('close', resolve));
  const said = [];
  for (const stream of [runner.stdout, runner.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line);
      if (!line.startsWith(`${demo.baseUrl}/`) || !line.includes('code_challenge=')) return;
      new Browser({ decision: 'allow', person: /alice/i }).visit(line).then(
        (page) => said.push(`the browser ended at ${page.url.origin}${page.url.pathname} with ${page.status}`),
        (error) => {
          said.push(`the browser failed: ${error.message}`);
          runner.kill();
        },
      );
    });
  }
  const code = await ended;
  const checks = new Map();
  for (const file of fs.readdirSync(results, { recursive: true }).filter((name) => path.basename(name) === 'checks.json')) {
    for (const check of JSON.parse(fs.readFileSync(path.join(results, file), 'utf8'))) checks.set(check.id, check);
  }
  return { code, said: said.join('\n'), checks };
}

for (const [name, extra] of [
  ['a public client, with the resource it is for', () => ['--resource', `${demo.baseUrl}/mcp`]],
  ['a public client that names no resource', () => []],
]) {
  test(`authorization: ${name}`, { timeout: 120_000 }, async () => {
    const port = await freePort();
    const client = await register(`http://127.0.0.1:${port}/callback`, 'none');
    const results = scratch(`results-${port}`);
    const { code, said, checks } = await runAuthorization(port, client, results, extra());
    assert.equal(code, 0, said);
    for (const id of ['authorization-server-metadata', 'authorization-code-grant']) {
      assert.equal(checks.get(id)?.status, 'SUCCESS', `${id}: ${checks.get(id)?.errorMessage}\n${said}`);
    }
    for (const check of checks.values()) {
      console.log(`${check.status} ${check.id}${check.errorMessage ? `: ${check.errorMessage}` : ''}`);
      assert.notEqual(check.status, 'FAILURE');
    }
  });
}
