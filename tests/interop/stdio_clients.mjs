// The official clients over stdio, for the folders next door whose tests start a server as a program. Clients over HTTP are in clients.mjs.
export { Client as ClientOne } from '@modelcontextprotocol/sdk/client/index.js';
export { StdioClientTransport as StdioOne } from '@modelcontextprotocol/sdk/client/stdio.js';
export { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
export { Client as ClientTwo } from '@modelcontextprotocol/client';
export { StdioClientTransport as StdioTwo } from '@modelcontextprotocol/client/stdio';
