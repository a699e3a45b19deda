// What the fixture servers of both eras have in common: what they ask, what they answer, and what this process remembers. How each era
// says it stands in legacy.mjs and modern.mjs; what the clients must see of it, in ../exercises.mjs.
import { z } from 'zod';

export const SERVER = { name: 'eras', version: '1.0.0' };
export const PAGE = 'https://example.com/sign-here';

/** The resource that `touch` changes. Several servers behind one gateway each have their own. */
export let THING = 'era://thing';
export function setThing(uri) {
  THING = uri;
}

/** Lives as long as the process: over HTTP all clients share it, as they share a real server's database. */
export const memory = { cancelled: 0, touched: 0, grown: false };

export const NAME = {
  message: 'What is your name?',
  requestedSchema: { type: 'object', properties: { name: { type: 'string', title: 'Name' } }, required: ['name'] },
};
export const COLOUR = {
  message: 'Which colour do you like?',
  requestedSchema: { type: 'object', properties: { colour: { type: 'string', enum: ['red', 'blue'] } }, required: ['colour'] },
};
export const VISIT = { message: 'Please sign there.', url: PAGE };

/** A question for the client's model. */
export function sampling(prompt) {
  return { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 50, temperature: 0.5 };
}

export const ARGUMENTS = {
  echo: { message: z.string() },
  sample: { prompt: z.string() },
  slow: { steps: z.number().int(), milliseconds: z.number().int() },
  log: { level: z.enum(['debug', 'info', 'warning', 'error']), message: z.string() },
};

export const DESCRIPTIONS = {
  echo: 'Says it again.',
  elicit: 'Asks for a name in a form, and greets.',
  elicit_url: 'Sends the person to a page.',
  two_questions: 'Asks for a name, and once it has it, for a colour.',
  at_once: 'Asks the person and the model at the same time.',
  ask_while_working: 'Asks for a name, and tells of its progress before, meanwhile and after.',
  sample: "Asks the client's model, and answers what it said.",
  roots: "Lists the client's roots.",
  slow: 'Takes its time, tells how far it is, and stops when it is called off.',
  cancelled: 'How many slow calls were called off.',
  touch: 'Changes the thing.',
  grow: 'Adds a tool that was not there, or takes it away again.',
  grown: 'Is there sometimes.',
  log: 'Logs a message while it works.',
};

export function text(said, extra) {
  return { content: [{ type: 'text', text: said }], ...extra };
}

export function greeting(answer) {
  return answer?.action === 'accept' ? `hello ${answer.content.name}` : `no name: ${answer?.action}`;
}

export function listed(roots) {
  return roots.map(({ name, uri }) => `${name} ${uri}`).join('\n');
}

export function thing() {
  return { contents: [{ uri: THING, mimeType: 'text/plain', text: `touched ${memory.touched} times` }] };
}

/**
 * Works in steps until done or called off; `tell` is told which step begins. There is work after the last step is announced, as there
 * is in real tools: clients lose what arrives together with the answer.
 */
export async function work({ steps, milliseconds }, signal, tell) {
  for (let step = 1; step <= steps; step += 1) {
    await tell({ progress: step, total: steps, message: `step ${step}` });
    await pause(milliseconds, signal);
    if (signal.aborted) {
      memory.cancelled += 1;
      return text('called off');
    }
  }
  return text(`${steps} steps done`);
}

export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}
