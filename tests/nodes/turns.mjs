// One node after the other dies when it is told to, and starts again by itself: there are never two that are gone. For a node that dies at
// times of its own, see reaper.mjs.

export class Turns {
  #nodes;
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

  /** Until all of them are there. */
  async whole() {
    await this.#last;
    await this.#back;
  }

  async #one() {
    await this.#back;
    const node = this.#nodes[this.deaths % this.#nodes.length];
    this.deaths += 1;
    await node.kill();
    this.#back = node.launch();
    // Told to whoever comes next.
    this.#back.catch(() => {});
  }
}
