// The command line of these fixture servers:
//
//   node server.mjs --era legacy|modern|both --transport stdio|http [--port N] [--thing URI]
//
// `legacy` is a server as people wrote them with SDK 1.x (legacy.mjs), `modern` one of SDK 2.x that speaks nothing older than 2026-07-28,
// `both` the same one with both eras allowed (modern.mjs). What the three offer is the same, word for word: see story.mjs.
import { parseArgs } from 'node:util';

import { setThing } from './story.mjs';

const { values } = parseArgs({
  options: { era: { type: 'string' }, transport: { type: 'string' }, port: { type: 'string', default: '0' }, thing: { type: 'string' } },
});

const kinds = { legacy: './legacy.mjs', modern: './modern.mjs', both: './modern.mjs' };
if (!(values.era in kinds) || !['stdio', 'http'].includes(values.transport)) {
  console.error('usage: server.mjs --era legacy|modern|both --transport stdio|http [--port N] [--thing URI]');
  process.exit(2);
}

if (values.thing) setThing(values.thing);
const { serveHttp, serveStdio } = await import(kinds[values.era]);
if (values.transport === 'stdio') {
  await serveStdio(values.era);
} else {
  const port = await serveHttp(values.era, Number(values.port));
  console.error(`listening at http://localhost:${port}/mcp`);
}
