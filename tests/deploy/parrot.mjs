#!/usr/bin/env node
// An MCP server on stdio with one tool, and without dependencies: what test_built_image.py and test_installed.py have npx start.
import { createInterface } from 'node:readline';

const RESULTS = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'parrot', version: '1.0.0' } }),
  ping: () => ({}),
  'tools/list': () => ({
    tools: [{ name: 'repeat', inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] } }],
  }),
  'tools/call': ({ arguments: { text } }) => ({ content: [{ type: 'text', text }] }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const result = RESULTS[method]?.(params);
  const answer = result ? { result } : { error: { code: -32601, message: 'Method not found' } };
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
}
