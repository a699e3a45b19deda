// What every client must be able to do with server-everything behind the gateway, whichever client it is and whichever way it came in.
import assert from 'node:assert/strict';

/**
 * `prefix` stands before tool and prompt names: `everything_` on /mcp, nothing on /mcp/everything. mcp-remote forwards a progress
 * notification and the answer that follows it without keeping them in order; `reorders` lets it lose the last one that way.
 */
export async function exercise(client, prefix = '', { reorders = false } = {}) {
  await tools(client, prefix, reorders);
  await prompts(client, prefix);
  await resources(client);
}

async function tools(client, prefix, reorders) {
  const names = (await client.tools()).map((tool) => tool.name);
  for (const name of ['echo', 'get-sum', 'trigger-long-running-operation']) {
    assert.ok(names.includes(prefix + name), `tools/list lacks ${prefix}${name}: ${names.join(' ')}`);
  }
  assert.equal(new Set(names).size, names.length, 'a tool is listed twice');

  const message = 'Ærlig talt: ☃ "quoted" \\ and 𝔘nicode';
  const echoed = await client.call(`${prefix}echo`, { message });
  assert.equal(textIn(echoed), `Echo: ${message}`);
  assert.match(textIn(await client.call(`${prefix}get-sum`, { a: 2, b: 40 })), /\b42\b/);

  const steps = [];
  const long = await client.call(`${prefix}trigger-long-running-operation`, { duration: 0.5, steps: 5 }, (progress) => steps.push(progress));
  assert.match(textIn(long), /completed/);
  const expected = [1, 2, 3, 4, 5].map((step) => ({ progress: step, total: 5 }));
  if (reorders && steps.length < expected.length) expected.pop();
  assert.deepEqual(
    steps.map(({ progress, total }) => ({ progress, total })),
    expected,
    'progress notifications',
  );

  const picture = await client.call(`${prefix}get-tiny-image`, {});
  const image = picture.content.find((part) => part.type === 'image');
  assert.equal(Buffer.from(image.data, 'base64').subarray(1, 4).toString(), 'PNG');

  const structured = await client.call(`${prefix}get-structured-content`, { location: 'Chicago' });
  assert.equal(typeof (structured.structuredContent ?? structured.structured_content).temperature, 'number');

  await assert.rejects(async () => {
    const answer = await client.call(`${prefix}no-such-tool`, {});
    if (answer.isError ?? answer.is_error) throw new Error('said so in the result');
  }, 'an unknown tool must be an error');
}

async function prompts(client, prefix) {
  const names = (await client.prompts()).map((prompt) => prompt.name);
  assert.ok(names.includes(`${prefix}args-prompt`), `prompts/list: ${names.join(' ')}`);
  const prompt = await client.prompt(`${prefix}args-prompt`, { city: 'Bergen', state: 'Vestland' });
  assert.match(prompt.messages[0].content.text, /Bergen/);
  const completion = await client.complete({ type: 'ref/prompt', name: `${prefix}completable-prompt` }, { name: 'department', value: 'E' });
  assert.deepEqual(completion.values, ['Engineering']);
}

async function resources(client) {
  const uris = (await client.resources()).map((resource) => String(resource.uri));
  const uri = 'demo://resource/static/document/features.md';
  assert.ok(uris.includes(uri), `resources/list: ${uris.join(' ')}`);
  const document = await client.read(uri);
  assert.ok(document.contents[0].text.length > 100);
  const templates = (await client.templates()).map((template) => template.uriTemplate ?? template.uri_template);
  assert.ok(templates.includes('demo://resource/dynamic/text/{resourceId}'), `templates: ${templates.join(' ')}`);
  const made = await client.read('demo://resource/dynamic/text/7');
  assert.match(made.contents[0].text, /7/);
}

export function textIn(result) {
  const part = result.content?.find(({ type }) => type === 'text');
  assert.ok(part, `no text in ${JSON.stringify(result)}`);
  return part.text;
}
