// Kills one node after the other and starts it again, for as long as it is let, and remembers when: what was under way at such a moment may
// be lost, whatever else fails has failed by itself. Who is at work meanwhile stands in conformance.test.mjs and browser.test.mjs.
import { setTimeout as pause } from 'node:timers/promises';

import { NEWS_MS } from './turns.mjs';

/** Between the end of one kill's consequences and the next kill. */
const REST_MS = [300, 2500];
/** For a request to come, before which a node dies; there may be none just now. */
const REQUEST_MS = 2000;
/** Longer than any death, or any work in calm. */
const WAIT_MS = 600_000;

export class Reaper {
  #settled;
  #homeOf;
  #working;
  #armed;
  #sent = new Set();
  #calm = 0;
  #striking = false;
  #stopped = false;

  /** `settled` waits until all people are served again; `homeOf` knows the node that has a session, or none. */
  constructor({ settled, homeOf }) {
    this.#settled = settled;
    this.#homeOf = homeOf;
    /** When a node died, and when that was known; whether right before a request, who had requests under way, and when all were served again. */
    this.kills = [];
  }

  start(nodes) {
    this.#working = this.#work(nodes);
    // Told by `stop`.
    this.#working.catch(() => {});
  }

  /** Once what the last kill did is over. */
  async stop() {
    this.#stopped = true;
    await this.#working;
  }

  /**
   * To be asked before a person's request is sent: every other time a node dies just then, the one that has the request's session if it is
   * in one, and the request meets what is left. Answers with what is to be called when the request is over. Streams that only listen lose
   * nothing, and are not counted.
   */
  before = async ({ method, headers }, person) => {
    const strike = this.#armed;
    this.#armed = undefined;
    await strike?.(headers['mcp-session-id']);
    if (method === 'GET') return () => {};
    const sent = { person, until: Infinity };
    this.#sent.add(sent);
    return () => {
      sent.until = Date.now();
    };
  };

  /** Was a node gone, or not yet missed by the others, at some moment between these times? */
  met(began, ended) {
    return this.kills.some(({ at, until }) => at <= ended && until >= began);
  }

  /** Did a node die between these times, while a request of this person was under way? Waits until that is known. */
  async hit(person, began, ended) {
    await this.#until('whom the last death hit is known', () => this.kills.every(({ at, known }) => at > ended || known < Infinity));
    return this.kills.some(({ at, known, hit }) => at <= ended && known >= began && hit.has(person));
  }

  /** Does `work` while no node dies. */
  async calm(work) {
    this.#calm += 1;
    try {
      await this.#until('the last death is over', () => !this.#striking);
      return await work();
    } finally {
      this.#calm -= 1;
    }
  }

  async #until(what, isSo) {
    for (const until = Date.now() + WAIT_MS; !isSo(); await pause(50)) {
      if (Date.now() > until) throw new Error(`waited in vain: ${what}`);
    }
  }

  async #work(nodes) {
    for (let turn = 0; !this.#stopped; turn += 1) {
      await pause(REST_MS[0] + Math.random() * (REST_MS[1] - REST_MS[0]));
      await this.#until('there was calm for long enough', () => this.#calm === 0);
      if (this.#stopped) return;
      this.#striking = true;
      try {
        await this.#harm(nodes[turn % nodes.length], turn % 2 === 0);
      } finally {
        this.#striking = false;
      }
    }
  }

  async #harm(node, atRequest) {
    const kill = { at: undefined, known: Infinity, until: Infinity, atRequest: false, hit: new Set() };
    let dead = node;
    const strike = async () => {
      kill.at = Date.now();
      this.kills.push(kill);
      await dead.kill();
      await pause(NEWS_MS);
      kill.known = Date.now();
      for (const sent of this.#sent) {
        if (sent.until >= kill.at) kill.hit.add(sent.person);
        else this.#sent.delete(sent);
      }
    };
    if (atRequest) {
      await new Promise((resolve, reject) => {
        const armed = (session) => {
          kill.atRequest = true;
          dead = (session && this.#homeOf(session)) ?? node;
          return strike().then(resolve, reject);
        };
        this.#armed = armed;
        pause(REQUEST_MS).then(() => {
          if (this.#armed !== armed) return;
          this.#armed = undefined;
          resolve();
        });
      });
    }
    if (!kill.atRequest) await strike();
    await dead.launch();
    await this.#settled();
    kill.until = Date.now();
  }
}
