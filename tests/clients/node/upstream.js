// One of the scripted upstreams, and what it remembers. The driver (`../run`) starts them and tells where they are.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const WORDS = 'Sluices let every ship through.';
export const USER = [{ role: 'user', content: 'Tell me.' }];
export const IMAGE = /"(iVBOR[^"]+)"/.exec(readFileSync(new URL('../upstreams.py', import.meta.url), 'utf8'))[1];

export class Upstream {
  constructor(dialect) {
    const name = dialect.toUpperCase();
    this.url = `http://127.0.0.1:${process.env[`UPSTREAM_${name}`]}`;
    this.prefix = process.env[`MODEL_PREFIX_${name}`] ?? `scripted-${dialect}/`;
  }

  /** The public name of a scenario. */
  model(scenario) {
    return this.prefix + scenario;
  }

  chat(scenario, more = {}) {
    return { model: this.model(scenario), messages: USER, ...more };
  }

  message(scenario, more = {}) {
    return { model: this.model(scenario), max_tokens: 200, messages: USER, ...more };
  }

  response(scenario, more = {}) {
    return { model: this.model(scenario), input: 'Tell me.', ...more };
  }

  async log(method = 'GET') {
    return (await fetch(`${this.url}/log`, { method })).json();
  }

  /** Waits until the log has an entry for which this holds. */
  async wait(what, holds) {
    for (const end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
      if ((await this.log()).some(holds)) return;
    }
    assert.fail(`${what} was not seen`);
  }

  /** Waits until the other side was seen to leave an answer. */
  async left() {
    await this.wait('the close', (entry) => entry.left);
  }
}
