// The lab of deploy/lab, as an object. It belongs to this process: when that is killed, the next `lab up` removes the lab.
import { join } from 'node:path';
import { onExit } from './cleanup.mjs';
import { ROOT, run } from './programs.mjs';

const LAB = join(ROOT, 'deploy/lab/lab');

export const SITES = ['alpha', 'beta', 'gamma'];
export const HOSTS = SITES.flatMap((site) => [1, 2, 3].map((number) => `${site}-${number}`));
export const siteOf = (host) => host.split('-')[0];
export const inPlace = (host, place) => host === place || siteOf(host) === place;

export class Lab {
  /** Numbers from 20 on are for tests, so that a person's lab and demo (0) can stand beside them. */
  static up() {
    for (let id = 20; id < 60; id += 1) {
      const lab = new Lab(id);
      const forget = onExit(() => run(LAB, ['down'], { env: lab.env }));
      const result = run(LAB, ['up'], { env: lab.env });
      if (result.code === 0) {
        lab.forget = forget;
        return lab;
      }
      forget();
      // 3: somebody else has that number.
      if (result.code !== 3) throw new Error(`the lab cannot be built:\n${result.output}`);
    }
    throw new Error('the lab numbers from 20 to 59 are all taken: take some down with EVERYPATH_LAB_ID=N deploy/lab/lab down');
  }

  constructor(id) {
    this.id = id;
    this.env = { EVERYPATH_LAB_ID: String(id), EVERYPATH_LAB_OWNER: String(process.pid) };
    this.aggregatorAddress = `10.${83 + id}.0.1`;
  }

  #do(...args) {
    const result = run(LAB, args, { env: this.env });
    if (result.code !== 0) throw new Error(`lab ${args.join(' ')} failed:\n${result.output}`);
    return result.stdout.trim();
  }

  cut(a, b) {
    return this.#do('cut', a, b);
  }

  oneway(a, b) {
    return this.#do('oneway', a, b);
  }

  loss(a, b, percent) {
    return this.#do('loss', a, b, String(percent));
  }

  heal() {
    return this.#do('heal');
  }

  status() {
    return this.#do('status');
  }

  address(host) {
    return this.#do('address', host);
  }

  namespace(host) {
    return `everypath${this.id === 0 ? '' : this.id}-${host}`;
  }

  /** The words that run a command in a host. */
  inHost(host) {
    return ['ip', 'netns', 'exec', this.namespace(host)];
  }

  down() {
    this.#do('down');
    this.forget();
  }
}
