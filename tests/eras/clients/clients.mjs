// The clients by name, with the era each is made to speak. How they connect is in the other files of this folder.
import { CAPABILITIES, connectClientTwo, connectSdkOne } from './typescript.mjs';
import { connectPython } from './python.mjs';
import { performRmcp } from './rmcp.mjs';

/**
 * `protocol` is the revision that the client must have agreed on. `pinned` clients refuse anything else; `probing` ones, which fall back
 * to the legacy era by themselves, must not have had to.
 * Those that `connect` have verbs; those that `perform` go through a whole exercise by themselves, and over HTTP only.
 */
export const CLIENTS = [
  { name: 'TypeScript 1.x', era: 'legacy', connect: connectSdkOne },
  ...[
    ['legacy', 'legacy', 'legacy'],
    ['modern', 'modern', 'modern, pinned'],
    ['modern', 'probing', 'modern, probing'],
  ].flatMap(([era, mode, words]) => [
    { name: `TypeScript 2.x, ${words}`, era, connect: (where, options) => connectClientTwo(where, { ...options, era: mode }) },
    { name: `Python, ${words}`, era, connect: (where, options) => connectPython(where, { ...options, era: mode }) },
  ]),
  ...['legacy', 'modern'].map((era) => ({ name: `Rust, ${era}`, era, perform: (exercise, facing) => performRmcp(exercise, { ...facing, era }) })),
];

export const REVISION = { legacy: '2025-11-25', modern: '2026-07-28' };

export { CAPABILITIES };
