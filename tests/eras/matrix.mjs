// The outcome as a table, client by server by exercise, for people; and what is not applicable, with the reason. Nothing is left out of
// the table silently: what was announced but never ran says so.
import fs from 'node:fs';

/** One entry for each thing that cannot be: a client, an exercise, and why. */
export const NOT_APPLICABLE = [];

export function notApplicable(client, exercise) {
  return NOT_APPLICABLE.find((entry) => entry.client === client && entry.exercise === exercise)?.why;
}

export class Matrix {
  constructor() {
    this.parts = new Map();
  }

  /** Announced before anything is run, so that what never ran can be seen. */
  expect(part, client, server, exercises) {
    const rows = this.parts.get(part) ?? new Map();
    this.parts.set(part, rows);
    rows.set(`${client} | ${server}`, new Map(exercises.map((exercise) => [exercise, 'not run'])));
  }

  note(part, client, server, exercise, outcome) {
    this.parts.get(part).get(`${client} | ${server}`).set(exercise, outcome);
  }

  markdown() {
    const lines = ['# Clients and servers of both eras'];
    for (const [part, rows] of this.parts) {
      const columns = [...new Set([...rows.values()].flatMap((row) => [...row.keys()]))];
      lines.push('', `## ${part}`, '', `| client | server | ${columns.join(' | ')} |`, `|---|---|${columns.map(() => '---|').join('')}`);
      for (const [row, outcomes] of rows) lines.push(`| ${row} | ${columns.map((column) => outcomes.get(column) ?? '').join(' | ')} |`);
    }
    if (NOT_APPLICABLE.length > 0) lines.push('', '## Not applicable', '', ...NOT_APPLICABLE.map(({ client, exercise, why }) => `- ${client}, ${exercise}: ${why}`));
    const outcomes = [...this.parts.values()].flatMap((rows) => [...rows.values()].flatMap((row) => [...row.values()]));
    const count = (outcome) => outcomes.filter((one) => one === outcome).length;
    lines.push('', `${count('ok')} ok, ${count('FAILED')} failed, ${count('not run')} not run, ${count('n/a')} not applicable`, '');
    return lines.join('\n');
  }

  write(file) {
    fs.writeFileSync(file, this.markdown());
    console.log(this.markdown());
  }
}
