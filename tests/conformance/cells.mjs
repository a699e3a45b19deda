// The cells of the matrix, clients of each revision at each place, and what is said of them: what may fail in them, and the table for people.
// What runs in them, and when, stands in matrix.test.mjs and in ../nodes.
import fs from 'node:fs';
import path from 'node:path';

import { Excuses } from './excuses.mjs';
import { PLACES } from './setup.mjs';
import { scenariosOf } from './runner.mjs';
import { findings, table } from './table.mjs';

export const REVISIONS = ['2025-11-25', '2026-07-28'];

/** All of them, with nothing found yet. */
export function cells() {
  return REVISIONS.flatMap((revision) => PLACES.map((place) => ({ revision, place, outcomes: new Map() })));
}

/** What cannot pass through a gateway, because the other era does not have it. */
export function notApplicable() {
  return new Excuses(path.join(import.meta.dirname, 'not_applicable.json'));
}

/** Writes down what came of a scenario in a cell. Answers with what is not excused, a line for each. */
export function settle(excuses, cell, scenario, outcome) {
  const { excused, open } = excuses.apply({ revision: cell.revision, ...cell.place }, scenario, outcome.problems);
  cell.outcomes.set(scenario, { ...outcome, excused, open });
  return open.map(({ check, message }) => `${scenario}: ${check}: ${message}`);
}

/** Writes the tables and every finding to `file`. Answers with the tables. */
export function report(all, file) {
  const tables = REVISIONS.map((revision) => table(revision, all.filter((cell) => cell.revision === revision), scenariosOf(revision)));
  fs.writeFileSync(file, [...tables, findings(all)].join('\n'));
  return tables.join('\n');
}
