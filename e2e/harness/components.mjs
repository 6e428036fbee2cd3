// What a test needs of the machine. Missing: the test is skipped and says so; in CI nothing may be skipped.
import { existsSync, readFileSync } from 'node:fs';
import { run } from './programs.mjs';

export const IS_ROOT = process.getuid() === 0;
export const IN_CI = process.env.CI === 'true' || process.env.CI === '1';

function why(command, args, otherwise) {
  try {
    const result = run(command, args);
    return result.code === 0 ? undefined : `${otherwise} (${result.output.trim().split('\n')[0]})`;
  } catch (error) {
    return `${otherwise} (${error.message})`;
  }
}

const CHROMIUMS = [process.env.EVERYPATH_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function chromiumPath() {
  return CHROMIUMS.find((path) => path && existsSync(path));
}

/** Whether this kernel lets this user send pings: root by raw sockets, others by their group. */
export function pingsAreAllowed() {
  if (IS_ROOT) return true;
  const [low, high] = readFileSync('/proc/sys/net/ipv4/ping_group_range', 'utf8').trim().split(/\s+/).map(Number);
  return [process.getgid(), ...process.getgroups()].some((group) => group >= low && group <= high);
}

const COMPONENTS = {
  namespaces() {
    if (!IS_ROOT) return 'network namespaces need root';
    return (
      why('ip', ['-V'], 'the command ip is missing') ??
      why('nft', ['--version'], 'the command nft is missing') ??
      why('unshare', ['--net', 'true'], 'this machine or container may not make network namespaces')
    );
  },
  chromium() {
    if (!chromiumPath()) return 'there is no Chromium (package chromium), and EVERYPATH_CHROMIUM names none';
  },
  pings() {
    if (!pingsAreAllowed()) return 'net.ipv4.ping_group_range does not allow this user to send pings';
  },
  'another user'() {
    if (IS_ROOT) return why('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', 'true'], 'setpriv cannot become nobody');
  },
};

/**
 * Returns the options of a test that needs these components: `{}` when they are there, `{ skip: why }` when not.
 * In CI a missing component is a failure, thrown while the file is loaded.
 */
export function needs(...names) {
  for (const name of names) {
    const reason = COMPONENTS[name]();
    if (reason === undefined) continue;
    if (IN_CI) throw new Error(`${name}: ${reason}. In CI nothing is skipped.`);
    console.log(`SKIPPED: ${name}: ${reason}`);
    return { skip: `${name}: ${reason}` };
  }
  return {};
}
