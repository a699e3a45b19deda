// What may fail, and why: entries of a committed file, each with its reason. An entry must keep failing: once what it excuses passes
// everywhere it speaks of, or even in one of those places, it is stale and has to go.
import fs from 'node:fs';

const KEYS = new Set(['revision', 'servers', 'transport', 'scenario', 'checks', 'reason']);

/**
 * Entries are `{ revision, servers, transport?, scenario, checks?, reason }`: the client's revision, the servers without their transport,
 * one scenario, and either all of it or the checks that are named. Each server needs the entry by itself, or it is stale.
 */
export class Excuses {
  #entries;

  constructor(file) {
    this.#entries = JSON.parse(fs.readFileSync(file, 'utf8')).flatMap(({ servers = [], ...entry }) => {
      const unknown = Object.keys(entry).filter((key) => !KEYS.has(key));
      if (unknown.length > 0 || servers.length === 0 || !entry.reason) {
        throw new Error(`${file}: ${JSON.stringify({ servers, ...entry })} needs servers and a reason, and has nothing but ${[...KEYS]}`);
      }
      return servers.map((server) => ({ ...entry, server, used: 0, passed: [] }));
    });
  }

  /** Splits a scenario's problems at one place into those that are excused and those that are not; remembers entries that were not needed. */
  apply({ revision, server, transport }, scenario, problems) {
    const excused = new Set();
    for (const entry of this.#entries) {
      if (entry.revision !== revision || entry.server !== server || entry.scenario !== scenario) continue;
      if (entry.transport && entry.transport !== transport) continue;
      entry.used += 1;
      const place = `${server} ${transport}`;
      const covered = problems.filter(({ check }) => !entry.checks || entry.checks.includes(check));
      for (const problem of covered) excused.add(problem);
      if (!entry.checks && covered.length === 0) entry.passed.push(place);
      for (const check of entry.checks ?? []) {
        if (!covered.some((problem) => problem.check === check)) entry.passed.push(`${place}: ${check}`);
      }
    }
    return { excused: problems.filter((one) => excused.has(one)), open: problems.filter((one) => !excused.has(one)) };
  }

  /** Entries that excuse something which passes, or which never ran. */
  stale() {
    return this.#entries
      .filter(({ used, passed }) => used === 0 || passed.length > 0)
      .map(({ revision, server, scenario, used, passed }) => {
        const what = `${scenario} (${revision} at ${server})`;
        return used === 0 ? `${what}: there is no such place or scenario` : `${what}: passes now at ${passed.join(', ')}`;
      });
  }
}
