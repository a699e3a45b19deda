// What came of all pairs: the table, clients by servers, with a cell for what passed of what applies; the facts, which say what does not
// work without the gateway either; and what is wrong. The rule: what works directly works through the gateway, and looks the same.
import { isDeepStrictEqual } from 'node:util';

export class Table {
  constructor(clients, servers, facts) {
    this.clients = clients.map(({ name }) => name);
    this.servers = servers.map(({ name }) => name);
    this.facts = facts.map((fact) => ({ ...fact, used: 0 }));
    this.cells = new Map();
  }

  /** Notes a pair; answers with what is wrong about it. */
  note(client, server, directly, through) {
    const wrong = [];
    const cell = { passed: 0, applicable: 0 };
    this.cells.set(`${client} | ${server}`, cell);
    for (const [exercise, outcome] of directly) {
      const fact = this.fact(client, server, exercise);
      if (!outcome.ok) {
        const fails = `${exercise}: fails without the gateway`;
        if (!fact) wrong.push(`${fails}, and no fact says so: ${outcome.why}`);
        else if (!fact.why.test(outcome.why)) wrong.push(`${fails}, but not as the facts say: ${outcome.why}`);
        else fact.used += 1;
        continue;
      }
      if (fact) wrong.push(`${exercise}: works without the gateway, but the facts say that it does not`);
      cell.applicable += 1;
      const difference = differs(outcome, through.get(exercise));
      if (difference) wrong.push(`${exercise}: ${difference}`);
      else cell.passed += 1;
    }
    return wrong;
  }

  /** What is known not to work without the gateway. */
  fact(client, server, exercise) {
    return this.facts.find((fact) => fact.client.test(client) && fact.server.test(server) && fact.exercise.test(exercise));
  }

  /** Facts that no pair of client and server met are no longer true, or never were. */
  unused() {
    return this.facts.filter(({ used }) => used === 0).map(({ says }) => says);
  }

  text() {
    const cell = (client, server) => {
      const noted = this.cells.get(`${client} | ${server}`);
      if (!noted) return '';
      return noted.applicable === 0 ? '-' : `${noted.passed}/${noted.applicable}`;
    };
    const rows = [['', ...this.servers], ...this.clients.map((client) => [client, ...this.servers.map((server) => cell(client, server))])];
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    const pad = (word, column) => (column === 0 ? word.padEnd(widths[0]) : word.padStart(widths[column]));
    const table = rows.map((row) => row.map(pad).join('  '));
    const sum = (what) => [...this.cells.values()].reduce((all, noted) => all + noted[what], 0);
    return [
      'passed through the gateway / works directly; "-" where nothing does',
      '',
      ...table,
      '',
      'Facts: what does not work without the gateway either, as often as it was found',
      ...this.facts.map(({ says, used }) => `${String(used).padStart(4)} x  ${says}`),
      '',
      `${sum('passed')} of ${sum('applicable')} exercises that work directly work through the gateway`,
    ].join('\n');
  }
}

function differs(directly, through) {
  if (!through) return 'was not tried through the gateway: it could not connect';
  if (!through.ok) return `works directly, not through the gateway: ${through.why}`;
  if (isDeepStrictEqual(directly.saw, through.saw)) return undefined;
  return `directly ${JSON.stringify(directly.saw)}\n  through the gateway ${JSON.stringify(through.saw)}`;
}
