// One node after the other dies when it is told to, and starts again by itself: there are never two that are gone. For a node that dies at
// times of its own, see reaper.mjs.
import { setTimeout as pause } from 'node:timers/promises';

/** For those who had connections to a node to hear that they are gone: what they send before is under way. */
export const NEWS_MS = 50;

export class Turns {
  #nodes;
  #soon = new Set();
  #last = Promise.resolve();
  #back = Promise.resolve();

  constructor(nodes) {
    this.#nodes = nodes;
    this.deaths = 0;
  }

  /** The next node is dead when this is done, and only then begins to start again. */
  next() {
    this.#last = this.#last.then(() => this.#one());
    return this.#last;
  }

  /** The same after a while; the caller does not wait for it. */
  soon(ms) {
    const death = pause(ms).then(() => this.next());
    this.#soon.add(death);
    death.finally(() => this.#soon.delete(death));
  }

  /** Until all of them are there, and all deaths are over that were to come. */
  async whole() {
    await Promise.all(this.#soon);
    await this.#last;
    await this.#back;
  }

  async #one() {
    await this.#back;
    const node = this.#nodes[this.deaths % this.#nodes.length];
    this.deaths += 1;
    await node.kill();
    await pause(NEWS_MS);
    this.#back = node.launch();
    // Told to the next caller that waits for it.
    this.#back.catch(() => {});
  }
}
