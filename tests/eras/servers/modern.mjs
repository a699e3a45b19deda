// The same server for the modern era, written as servers of SDK 2.x are: whatever it needs to know it asks by answering "input required",
// and what it learned so far travels in the request state. With the era `both`, SDK 2.x serves legacy clients too, from the same
// handlers. The server of the legacy era is next door, in legacy.mjs; what both say, in story.mjs.
import { randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';

import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler, createRequestStateCodec, inputRequired, inputResponse, isLegacyRequest } from '@modelcontextprotocol/server';
import { serveStdio as serveOnStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

import { ARGUMENTS, COLOUR, DESCRIPTIONS, NAME, SERVER, THING, VISIT, greeting, listed, memory, pause, sampling, text, thing, work } from './story.mjs';

// Signed, so that a state that was changed on its way is refused; bound to the method it was made for.
const state = createRequestStateCodec({ key: randomBytes(32), bind: (context) => context.mcpReq.method });

/** Legacy clients that subscribed to the thing, and the tool that is there sometimes of each; who listens in the modern era the SDK knows. */
const watchers = new Set();
const grown = new Set();

/** `tell` tells the clients that listen in the modern era of what changed. */
function makeServer(era, tell) {
  const server = new McpServer(SERVER, {
    capabilities: { logging: {}, resources: { subscribe: true } },
    requestState: { verify: state.verify },
  });
  const tool = (name, act) =>
    server.registerTool(name, { description: DESCRIPTIONS[name], inputSchema: z.object(ARGUMENTS[name] ?? {}) }, act);

  tool('echo', ({ message }) => text(message));
  askingTools(tool);
  tool('slow', (args, context) =>
    work(args, context.mcpReq.signal, async (progress) => {
      const progressToken = context.mcpReq._meta?.progressToken;
      if (progressToken !== undefined) await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, ...progress } });
    }),
  );
  tool('cancelled', () => text(String(memory.cancelled)));
  tool('touch', async () => {
    memory.touched += 1;
    await tell.touched(server);
    for (const watcher of watchers) watcher();
    return text('touched');
  });
  tool('log', async ({ level, message }, context) => {
    await context.mcpReq.log(level, message, 'era');
    return text('logged');
  });
  const own = tool('grown', () => text('I am here'));
  show(own);
  tool('grow', async () => {
    memory.grown = !memory.grown;
    await tell.grown(own);
    for (const one of grown) show(one);
    return text(memory.grown ? 'grown' : 'shrunk');
  });
  server.registerResource('thing', THING, { mimeType: 'text/plain' }, thing);
  server.registerPrompt('greet', { description: 'Asks for a name, and greets.' }, async (context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'name');
    if (answer.kind !== 'elicit') return inputRequired({ inputRequests: { name: inputRequired.elicit(NAME) } });
    return { messages: [{ role: 'user', content: { type: 'text', text: greeting(answer) } }] };
  });
  if (era === 'legacy') legacyChanges(server, own);
  return server;
}

function show(tool) {
  tool.update({ enabled: memory.grown });
}

function legacyChanges(server, own) {
  grown.add(own);
  const tell = () => server.server.sendResourceUpdated({ uri: THING }).catch((error) => console.error(String(error)));
  server.server.setRequestHandler('resources/subscribe', ({ params }) => {
    if (params.uri === THING) watchers.add(tell);
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    if (params.uri === THING) watchers.delete(tell);
    return {};
  });
  server.server.onclose = () => {
    watchers.delete(tell);
    grown.delete(own);
  };
}

function askingTools(tool) {
  tool('elicit', async (_args, context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'name');
    if (answer.kind === 'elicit') {
      // Only a state that came back unchanged gets here with what was put into it.
      if (context.mcpReq.requestState()?.asked !== 'name') throw new Error('the request state did not come back');
      return text(greeting(answer));
    }
    return inputRequired({ inputRequests: { name: inputRequired.elicit(NAME) }, requestState: await state.mint({ asked: 'name' }, context) });
  });
  // The name is in the state by the time the colour arrives: nothing is kept here.
  tool('two_questions', async (_args, context) => {
    const { inputResponses } = context.mcpReq;
    const name = inputResponse(inputResponses, 'name');
    const colour = inputResponse(inputResponses, 'colour');
    if (colour.kind === 'elicit') return text(`${context.mcpReq.requestState().name} likes ${colour.content.colour}`);
    if (name.kind !== 'elicit') return inputRequired({ inputRequests: { name: inputRequired.elicit(NAME) } });
    return inputRequired({ inputRequests: { colour: inputRequired.elicit(COLOUR) }, requestState: await state.mint({ name: name.content.name }, context) });
  });
  tool('at_once', (_args, context) => {
    const person = inputResponse(context.mcpReq.inputResponses, 'person');
    const model = inputResponse(context.mcpReq.inputResponses, 'model');
    if (person.kind === 'elicit' && model.kind === 'sampling') return text(`${person.content.name}: ${model.result.content.text}`);
    return inputRequired({ inputRequests: { person: inputRequired.elicit(NAME), model: inputRequired.createMessage(sampling('Who is there?')) } });
  });
  tool('elicit_url', (_args, context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'visit');
    if (answer.kind === 'elicit') return text(`page: ${answer.action}`);
    return inputRequired({ inputRequests: { visit: inputRequired.elicitUrl(VISIT) } });
  });
  tool('ask_while_working', async (_args, context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    const tell = (progress) => context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3, message: `step ${progress}` } });
    const answer = inputResponse(context.mcpReq.inputResponses, 'name');
    if (answer.kind !== 'elicit') {
      await tell(1);
      await tell(2);
      await pause(50);
      return inputRequired({ inputRequests: { name: inputRequired.elicit(NAME) } });
    }
    await tell(3);
    await pause(50);
    return text(greeting(answer));
  });
  tool('sample', ({ prompt }, context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'model');
    if (answer.kind === 'sampling') return text(answer.result.content.text);
    return inputRequired({ inputRequests: { model: inputRequired.createMessage(sampling(prompt)) } });
  });
  tool('roots', (_args, context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'roots');
    if (answer.kind === 'roots') return text(listed(answer.roots));
    return inputRequired({ inputRequests: { roots: inputRequired.listRoots() } });
  });
}

export async function serveStdio(era) {
  const tell = {
    legacy: { touched() {}, grown() {} },
    modern: { touched: (server) => server.server.sendResourceUpdated({ uri: THING }), grown: show },
  };
  serveOnStdio((opening) => makeServer(opening.era, tell[opening.era]), {
    legacy: era === 'both' ? 'serve' : 'reject',
    onerror: (error) => console.error(String(error)),
  });
}

export async function serveHttp(era, port) {
  const tell = { touched: () => modern.notify.resourceUpdated(THING), grown: () => modern.notify.toolsChanged() };
  const modern = createMcpHandler(() => makeServer('modern', tell), {
    legacy: 'reject',
    onerror: (error) => console.error(String(error)),
  });
  const answer = toNodeHandler(modern);
  const legacy = legacySessions(tell);
  const listener = http.createServer(async (request, response) => {
    if (era === 'modern') return answer(request, response);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : undefined;
    return (await isLegacyRequest(await toWebRequest(request, body))) ? legacy(request, response, body) : answer(request, response, body);
  });
  await new Promise((resolve) => listener.listen(port, 'localhost', resolve));
  return listener.address().port;
}

// SDK 2.x serves legacy clients without sessions unless told otherwise; with them it can ask and tell, as SDK 1.x can.
function legacySessions(tell) {
  const sessions = new Map();
  return async (request, response, body) => {
    let transport = sessions.get(request.headers['mcp-session-id']);
    if (!transport) {
      transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (made) => sessions.set(made, transport),
        onsessionclosed: (gone) => sessions.delete(gone),
      });
      await makeServer('legacy', tell).connect(transport);
    }
    await transport.handleRequest(request, response, body);
  };
}
