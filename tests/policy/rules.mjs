// The rules of the matrix, and what they come to for each person, written down by hand: neither is computed from the other. What is asked
// of the gateway, and how, is in policy.test.mjs.

/** `works` is the conformance server, `books` a fixture server. A path of `proxies` leads to `books` as well. */
export function config({ target, denied = [] }) {
  return `
proxies:
  - pattern: /mcp/legacy/
    target_url: ${target}

access:
  - name: engineers
    who: {groups: [engineering]}
    servers: [works]
    tools: [greet, slow_compute]
    prompts: [test_simple_prompt]
    resources: ["test://static-text"]
  - name: the engineers' path
    who: {groups: [engineering]}
    servers: [/mcp/legacy/]
  - name: sales
    who: {groups: [sales]}
    servers: [works]
    tools: [test_simple_text]
    prompts: [test_prompt_with_arguments]
    resources: ["test://static-binary"]
  - name: the tools of the books
    who: {groups: [sales]}
    servers: [books]
    tools: ["*"]
  - name: nobody adds
    effect: deny
    who: anyone
    tools: [${['add', ...denied].join(', ')}]
`;
}

/** Of each kind, what a person may use at `works`, and one thing that the person may not: it is there, and the other person may. */
export const PEOPLE = {
  alice: {
    email: 'alice@example.com',
    tools: ['greet', 'slow_compute'],
    prompts: ['test_simple_prompt'],
    resources: ['test://static-text'],
    own: { tool: ['greet', { name: 'Alice' }], prompt: ['test_simple_prompt'], resource: 'test://static-text' },
    denied: { tool: 'test_simple_text', prompt: 'test_prompt_with_arguments', resource: 'test://static-binary' },
    books: false,
    proxy: true,
  },
  bob: {
    email: 'bob@example.com',
    tools: ['test_simple_text'],
    prompts: ['test_prompt_with_arguments'],
    resources: ['test://static-binary'],
    own: { tool: ['test_simple_text', {}], prompt: ['test_prompt_with_arguments', { arg1: 'a', arg2: 'b' }], resource: 'test://static-binary' },
    denied: { tool: 'greet', prompt: 'test_simple_prompt', resource: 'test://static-text' },
    books: true,
    proxy: false,
  },
};

/** Ways to the server `works`, and what stands before its names there. */
export const ROUTES = [
  { path: '/mcp', prefix: 'works_' },
  { path: '/mcp/works', prefix: '' },
  { path: '/mcp?server_name=works', prefix: '' },
];
