// What may fail, and why: entries of a committed file, each with its reason, and each for single checks of one scenario: what else the
// scenario looks at has to pass. An entry must keep failing: once a check that it excuses passes in one of the places it speaks of, it is
// stale and has to go.
import fs from 'node:fs';

const KEYS = new Set(['revision', 'servers', 'transport', 'scenario', 'checks', 'reason']);

/**
 * Entries are `{ revision, servers, transport?, scenario, checks, reason }`: the client's revision, the servers without their transport,
 * one scenario, and the checks of it that fail. Each server needs the entry by itself, or it is stale.
 */
export class Excuses {
  #entries;

  constructor(file) {
    this.#entries = JSON.parse(fs.readFileSync(file, 'utf8')).flatMap(({ servers = [], ...entry }) => {
      const unknown = Object.keys(entry).filter((key) => !KEYS.has(key));
      const names = Array.isArray(entry.checks) && entry.checks.length > 0 && entry.checks.every((check) => typeof check === 'string' && check);
      if (unknown.length > 0 || servers.length === 0 || !entry.reason || !names) {
        throw new Error(`${file}: ${JSON.stringify({ servers, ...entry })} needs servers, checks and a reason, and has nothing but ${[...KEYS]}`);
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
      for (const check of entry.checks) {
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

const covers = (entry, { check }) => entry.checks.includes(check);
