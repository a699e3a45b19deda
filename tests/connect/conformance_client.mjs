// The client that the official conformance runner drives: an SDK's stdio transport with `portunus connect` behind it. The runner says by
// variables which scenario it is, of which revision, and gives the server's URL.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { ClientOne, ElicitRequestSchema, StdioOne } from '../interop/stdio_clients.mjs';
import { connectProgram, walk, watch } from './program.mjs';

const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: revision, MCP_CONFORMANCE_CONTEXT } = process.env;
const context = MCP_CONFORMANCE_CONTEXT ? JSON.parse(MCP_CONFORMANCE_CONTEXT) : {};
const url = process.argv.at(-1);
const data = fs.mkdtempSync(path.join(os.tmpdir(), 'connect-'));

const args = [];
const env = {};
if (context.client_id) {
  args.push('--client-id', context.client_id);
  env.PORTUNUS_CONNECT_CLIENT_SECRET = context.client_secret;
} else {
  args.push('--client-metadata-url', 'https://conformance-test.local/client-metadata.json');
}

const transport = new StdioOne(connectProgram(url, { data, args, env }));
const seen = watch(transport.stderr, walk);

/** Requests of the modern era, for which this SDK's transport is a pipe. */
class Modern {
  #next = 1;
  #waiting = new Map();
  #version = revision;

  async start() {
    transport.onmessage = (message) => {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    };
    await transport.start();
  }

  async request(method, params = {}) {
    const answer = await this.#send(method, params);
    const supported = answer.error?.code === -32022 ? answer.error.data?.supported : undefined;
    if (!supported?.length) return answer;
    [this.#version] = supported;
    return this.#send(method, params);
  }

  #send(method, params) {
    const id = this.#next;
    this.#next += 1;
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': this.#version,
      'io.modelcontextprotocol/clientInfo': { name: 'conformance', version: '1.0.0' },
      'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, roots: {}, sampling: {} },
    };
    const answer = new Promise((resolve) => this.#waiting.set(id, resolve));
    transport.send({ jsonrpc: '2.0', id, method, params: { ...params, _meta } });
    return answer;
  }
}

async function modern() {
  const client = new Modern();
  await client.start();
  const result = async (method, params) => {
    const answer = await client.request(method, params);
    if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
    return answer.result;
  };
  // Not every server of the runner answers it.
  await client.request('server/discover');
  const { tools } = await result('tools/list');
  if (scenario === 'json-schema-ref-no-deref') return;
  if (scenario === 'http-standard-headers') {
    for (const { uri } of (await result('resources/list')).resources) await result('resources/read', { uri });
    for (const { name } of (await result('prompts/list')).prompts) await result('prompts/get', { name, arguments: {} });
  }
  for (const { name, arguments: given } of context.toolCalls ?? []) await result('tools/call', { name, arguments: given });
  if (context.toolCalls) return;
  const isSum = scenario === 'tools_call';
  for (const { name } of tools) {
    if (name === 'test_mrtr_unrelated') continue;
    const call = { name, arguments: isSum ? { a: 2, b: 3 } : {} };
    const first = await result('tools/call', call);
    if (first.resultType !== 'input_required') continue;
    await result('tools/call', { name: 'test_mrtr_unrelated', arguments: {} });
    const inputResponses = Object.fromEntries(Object.keys(first.inputRequests).map((key) => [key, { action: 'accept', content: { confirmed: true } }]));
    await result('tools/call', { ...call, inputResponses, ...(first.requestState !== undefined && { requestState: first.requestState }) });
  }
}

async function legacy() {
  const client = new ClientOne({ name: 'conformance', version: '1.0.0' }, { capabilities: { elicitation: { form: { applyDefaults: true } } } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: {} }));
  await client.connect(transport);
  const { tools } = await client.listTools();
  for (const { name } of tools) await client.callTool({ name, arguments: scenario === 'tools_call' ? { a: 2, b: 3 } : {} });
}

try {
  await (revision >= '2026' ? modern() : legacy());
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  console.error(seen.said.join('\n'), ...seen.failed);
  await transport.close();
  fs.rmSync(data, { recursive: true, force: true });
}
