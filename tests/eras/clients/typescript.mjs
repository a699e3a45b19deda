// The two TypeScript SDKs as clients: 1.x, which knows the legacy era only, and 2.x, which is told which era to speak. Every client in
// this folder offers the same verbs, so that ../exercises.mjs can ask the same of all of them; Python and Rust are next door.
import { Client as ClientOne } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioOne } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpOne } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ElicitationCompleteNotificationSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientTwo, StreamableHTTPClientTransport as HttpTwo } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioTwo } from '@modelcontextprotocol/client/stdio';

const WHO = { name: 'eras', version: '1.0.0' };
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

export const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

/** What a client was asked and told, and how it answers. `answer` takes a method and its params. */
function diary(answer) {
  const seen = { asked: [], logs: [], updated: [], completed: [], changes: 0 };
  const ask = async ({ method, params }) => {
    seen.asked.push({ method, params });
    return answer(method, params);
  };
  return { seen, ask };
}

/** On stdio this SDK does not tell which revision it agreed on. `where`: `{ url, token }`, or `{ command, args }` for a child process. Without `capabilities` the client can be asked for nothing. */
export async function connectSdkOne(where, { answer, capabilities = CAPABILITIES }) {
  const { seen, ask } = diary(answer);
  const client = new ClientOne(WHO, { capabilities });
  if (capabilities.elicitation) client.setRequestHandler(ElicitRequestSchema, ask);
  if (capabilities.sampling) client.setRequestHandler(CreateMessageRequestSchema, ask);
  if (capabilities.roots) client.setRequestHandler(ListRootsRequestSchema, ask);
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void seen.logs.push(params));
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void seen.updated.push(params.uri));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void (seen.changes += 1));
  client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => void seen.completed.push(params.elicitationId));
  const transport = transportFor(where, HttpOne, StdioOne);
  await client.connect(transport);
  return {
    ...verbs(client, transport, seen),
    protocol: transport.protocolVersion,
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    wantLogs: (level) => client.setLoggingLevel(level),
    // In the legacy era a client need not ask.
    watchTools: async () => async () => {},
    async subscribe(uri) {
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
  };
}

/** `era`: `legacy`, `modern`, or `probing`, which looks for the modern era first. */
export async function connectClientTwo(where, { era, answer, capabilities = CAPABILITIES }) {
  const { seen, ask } = diary(answer);
  const mode = { legacy: 'legacy', modern: { pin: '2026-07-28' }, probing: 'auto' }[era];
  const client = new ClientTwo(WHO, { capabilities, versionNegotiation: { mode } });
  if (capabilities.elicitation) client.setRequestHandler('elicitation/create', ask);
  if (capabilities.sampling) client.setRequestHandler('sampling/createMessage', ask);
  if (capabilities.roots) client.setRequestHandler('roots/list', ask);
  client.setNotificationHandler('notifications/message', ({ params }) => void seen.logs.push(params));
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void seen.updated.push(params.uri));
  client.setNotificationHandler('notifications/tools/list_changed', () => void (seen.changes += 1));
  if (era === 'legacy') client.setNotificationHandler('notifications/elicitation/complete', ({ params }) => void seen.completed.push(params.elicitationId));
  const transport = transportFor(where, HttpTwo, StdioTwo);
  await client.connect(transport);
  let meta;
  const modern = client.getProtocolEra() === 'modern';
  return {
    ...verbs(client, transport, seen),
    protocol: client.getNegotiatedProtocolVersion(),
    call: (name, args, options) => client.callTool({ name, arguments: args, ...(meta && { _meta: meta }) }, options),
    // The modern era has no level of a session: a client that wants to hear something says so with each request.
    wantLogs: modern ? async (level) => void (meta = { [LOG_LEVEL]: level }) : (level) => client.setLoggingLevel(level),
    async watchTools() {
      if (!modern) return async () => {};
      const subscription = await client.listen({ toolsListChanged: true });
      if (!subscription.honoredFilter.toolsListChanged) throw new Error(`honoured: ${JSON.stringify(subscription.honoredFilter)}`);
      return () => subscription.close();
    },
    async subscribe(uri) {
      if (modern) {
        const subscription = await client.listen({ resourceSubscriptions: [uri] });
        if (!subscription.honoredFilter.resourceSubscriptions?.includes(uri)) throw new Error(`honoured: ${JSON.stringify(subscription.honoredFilter)}`);
        return () => subscription.close();
      }
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
  };
}

function transportFor(where, Http, Stdio) {
  if (where.command) return new Stdio({ command: where.command, args: where.args, stderr: 'ignore' });
  return new Http(new URL(where.url), { requestInit: { headers: where.token ? { authorization: `Bearer ${where.token}` } : {} } });
}

function verbs(client, transport, seen) {
  return {
    seen,
    tools: async () => (await client.listTools()).tools,
    prompts: async () => (await client.listPrompts()).prompts,
    prompt: (name, args) => client.getPrompt({ name, ...(args && { arguments: args }) }),
    resources: async () => (await client.listResources()).resources,
    templates: async () => (await client.listResourceTemplates()).resourceTemplates,
    read: (uri) => client.readResource({ uri }),
    complete: async (ref, argument) => (await client.complete({ ref, argument })).completion,
    async close() {
      await transport.terminateSession?.();
      await client.close();
    },
  };
}
