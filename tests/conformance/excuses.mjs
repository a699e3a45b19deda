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

  /** Splits a scenario's problems at one place into those that are excused and those that are not. */
  split(place, scenario, problems) {
    const excused = new Set(this.#about(place, scenario).flatMap((entry) => problems.filter((problem) => covers(entry, problem))));
    return { excused: problems.filter((one) => excused.has(one)), open: problems.filter((one) => !excused.has(one)) };
  }

  /** The same for good: remembers entries that were not needed. */
  apply(place, scenario, problems) {
    for (const entry of this.#about(place, scenario)) {
      entry.used += 1;
      const where = `${place.server} ${place.transport}`;
      const covered = problems.filter((problem) => covers(entry, problem));
      if (!entry.checks && covered.length === 0) entry.passed.push(where);
      for (const check of entry.checks ?? []) {
        if (!covered.some((problem) => problem.check === check)) entry.passed.push(`${where}: ${check}`);
      }
    }
    return this.split(place, scenario, problems);
  }

  #about({ revision, server, transport }, scenario) {
    return this.#entries.filter(
      (entry) =>
        entry.revision === revision &&
        entry.server === server &&
        entry.scenario === scenario &&
        (!entry.transport || entry.transport === transport),
    );
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

const covers = (entry, { check }) => !entry.checks || entry.checks.includes(check);
