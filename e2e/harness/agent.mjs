// An agent under test.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, program, run } from './programs.mjs';

export class Agent {
  /** `prefix`: words in front of every command, such as `ip netns exec NAME` or `setpriv …`. */
  constructor({ directory, name, site, address, port = 0, status = '127.0.0.1:0', prefix = [] }) {
    Object.assign(this, { directory, name, site, address, port, status, prefix });
    this.data = join(directory, name);
    this.starts = 0;
  }

  command(...args) {
    const words = [...this.prefix, program('mesh-agent'), ...args];
    return [words[0], words.slice(1)];
  }

  /** Runs a subcommand to its end. */
  run(...args) {
    const [command, words] = this.command(...args);
    return run(command, words);
  }

  join(token) {
    return this.run('join', token, '--data-dir', this.data, '--name', this.name, '--site', this.site);
  }

  joinOk(token) {
    const result = this.join(token);
    if (result.code !== 0) throw new Error(`${this.name} could not join (exit code ${result.code}):\n${result.output}`);
  }

  async start() {
    const ready = join(this.data, 'addresses.json');
    rmSync(ready, { force: true });
    const [command, args] = this.command(
      'run',
      '--data-dir',
      this.data,
      '--listen',
      `${this.address}:${this.port}`,
      '--status',
      this.status,
    );
    this.daemon = new Daemon(this.name, command, args, join(this.directory, `${this.name}.log`));
    this.starts += 1;
    this.addresses = await this.daemon.readyFile(ready);
  }

  async stop() {
    const { code } = await this.daemon.stop();
    if (code !== 0) throw new Error(`${this.name} ended with ${code} after SIGTERM:\n${this.daemon.logEnd()}`);
  }
}
