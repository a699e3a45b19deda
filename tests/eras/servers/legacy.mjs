// A server of the legacy era, written as servers of SDK 1.x are: sessions, requests of its own to the client, subscriptions per session.
// The same server of the modern era is next door, in modern.mjs; what both say, in story.mjs.
import { randomUUID } from 'node:crypto';
import http from 'node:http';

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

import { ARGUMENTS, COLOUR, DESCRIPTIONS, NAME, SERVER, THING, VISIT, greeting, listed, memory, pause, sampling, text, thing, work } from './story.mjs';

/** Told when the thing was touched: one for each session that subscribed to it. */
const watchers = new Set();
/** The tool that is there sometimes, of every session. To show or hide it tells the session's client. */
const grown = new Set();

function makeServer() {
  const server = new McpServer(SERVER, { capabilities: { logging: {}, resources: { subscribe: true } } });
  const tool = (name, act) => server.registerTool(name, { description: DESCRIPTIONS[name], inputSchema: ARGUMENTS[name] ?? {} }, act);

  tool('echo', ({ message }) => text(message));
  askingTools(server, tool);
  tool('slow', (args, extra) =>
    work(args, extra.signal, async (progress) => {
      const progressToken = extra._meta?.progressToken;
      if (progressToken !== undefined) await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, ...progress } });
    }),
  );
  tool('cancelled', () => text(String(memory.cancelled)));
  tool('touch', () => {
    memory.touched += 1;
    for (const tell of watchers) tell();
    return text('touched');
  });
  tool('log', async ({ level, message }, extra) => {
    // Held back by the SDK when the session asked for less. Over HTTP it takes the session's own stream, so that the answer could overtake it.
    await server.sendLoggingMessage({ level, logger: 'era', data: message }, extra.sessionId);
    await pause(50);
    return text('logged');
  });
  tool('grow', () => {
    memory.grown = !memory.grown;
    for (const one of grown) show(one);
    return text(memory.grown ? 'grown' : 'shrunk');
  });
  const own = tool('grown', () => text('I am here'));
  grown.add(own);
  show(own);
  server.registerResource('thing', THING, { mimeType: 'text/plain' }, thing);
  server.registerPrompt('greet', { description: 'Asks for a name, and greets.' }, async (extra) => {
    const answer = await extra.sendRequest({ method: 'elicitation/create', params: { mode: 'form', ...NAME } }, ElicitResultSchema);
    return { messages: [{ role: 'user', content: { type: 'text', text: greeting(answer) } }] };
  });
  const tell = subscriptions(server);
  server.server.onclose = () => {
    watchers.delete(tell);
    grown.delete(own);
  };
  return server;
}

function show(tool) {
  tool.update({ enabled: memory.grown });
}

// Both ways to ask: what an SDK calls "related" travels on the stream of the call that needs it, what is not on the session's own stream.
function askingTools(server, tool) {
  const elicit = (extra, params) => extra.sendRequest({ method: 'elicitation/create', params: { mode: 'form', ...params } }, ElicitResultSchema);

  tool('elicit', async (_args, extra) => text(greeting(await elicit(extra, NAME))));
  tool('two_questions', async (_args, extra) => {
    const name = (await elicit(extra, NAME)).content.name;
    const { colour } = (await elicit(extra, COLOUR)).content;
    return text(`${name} likes ${colour}`);
  });
  tool('at_once', async (_args, extra) => {
    const [person, model] = await Promise.all([
      elicit(extra, NAME),
      extra.sendRequest({ method: 'sampling/createMessage', params: sampling('Who is there?') }, CreateMessageResultSchema),
    ]);
    return text(`${person.content.name}: ${model.content.text}`);
  });
  tool('elicit_url', async (_args, extra) => {
    const elicitationId = randomUUID();
    const answer = await elicit(extra, { ...VISIT, mode: 'url', elicitationId });
    await extra.sendNotification({ method: 'notifications/elicitation/complete', params: { elicitationId } });
    return text(`page: ${answer.action}`);
  });
  tool('ask_while_working', async (_args, extra) => {
    const progressToken = extra._meta?.progressToken;
    const tell = (progress) => extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3, message: `step ${progress}` } });
    await tell(1);
    const asked = elicit(extra, NAME);
    await tell(2);
    const answer = await asked;
    await tell(3);
    await pause(50);
    return text(greeting(answer));
  });
  tool('sample', async ({ prompt }) => text((await server.server.createMessage(sampling(prompt))).content.text));
  tool('roots', async () => text(listed((await server.server.listRoots()).roots)));
}

function subscriptions(server) {
  const tell = () => server.server.sendResourceUpdated({ uri: THING }).catch((error) => console.error(String(error)));
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    if (params.uri === THING) watchers.add(tell);
    return {};
  });
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    if (params.uri === THING) watchers.delete(tell);
    return {};
  });
  return tell;
}

export async function serveStdio() {
  await makeServer().connect(new StdioServerTransport());
}

export async function serveHttp(_era, port) {
  const sessions = new Map();
  const listener = http.createServer(async (request, response) => {
    const id = request.headers['mcp-session-id'];
    let transport = sessions.get(id);
    if (id && !transport) {
      response.writeHead(404).end();
      return;
    }
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (made) => sessions.set(made, transport),
        onsessionclosed: (gone) => sessions.delete(gone),
      });
      await makeServer().connect(transport);
    }
    await transport.handleRequest(request, response);
  });
  await new Promise((resolve) => listener.listen(port, 'localhost', resolve));
  return listener.address().port;
}
