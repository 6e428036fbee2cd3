// Refuses a lock file with a dependency that is known to be unsafe: too old, or of a kind that we never use.
//
//   node deploy/floors.mjs [Cargo.lock]     checks, exit code 1 with every violation named
//   node deploy/floors.mjs --self-test      shows that it bites
//
// cargo-audit alone is not enough: the advisory database knows nothing of some of these (yamux, gossipsub).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The oldest version of each that may be used, if it is used at all. Every version in the lock file counts, not only the newest. */
const FLOORS = {
  yamux: '0.13.10',
  'libp2p-gossipsub': '0.50.1',
  redb: '4.6.0',
  'quinn-proto': '0.11.15',
  'rustls-webpki': '0.103.13',
  'hickory-proto': '0.26.1',
  h2: '0.4.16',
  tar: '0.4.45',
  sqlx: '0.8.1',
  lettre: '0.11.22',
};

const BANNED = {
  bincode: 'no longer maintained; wire and disk formats are postcard',
  openssl: 'TLS is rustls',
  'openssl-sys': 'TLS is rustls',
  'native-tls': 'TLS is rustls',
};

/** Name and version of every package in a lock file. */
function packagesOf(text) {
  const packages = [];
  for (const block of text.split(/^\[\[package\]\]$/m).slice(1)) {
    const name = /^name = "([^"]+)"$/m.exec(block)?.[1];
    const version = /^version = "([^"]+)"$/m.exec(block)?.[1];
    if (name === undefined || version === undefined) throw new Error(`a [[package]] has no name or no version:\n${block}`);
    packages.push({ name, version });
  }
  if (packages.length === 0) throw new Error('there is no [[package]] in it: is this a Cargo.lock?');
  return packages;
}

/** Whether a version is below a floor. A pre-release comes before its release; what follows a + means nothing. */
function isBelow(version, floor) {
  const [core, prerelease] = version.split('+')[0].split(/-(.*)/s);
  const numbers = core.split('.').map(Number);
  const wanted = floor.split('.').map(Number);
  for (let at = 0; at < 3; at += 1) {
    if (numbers[at] !== wanted[at]) return numbers[at] < wanted[at];
  }
  return prerelease !== undefined;
}

function violationsOf(text) {
  const violations = [];
  for (const { name, version } of packagesOf(text)) {
    if (name in BANNED)
      violations.push(`${name} ${version} must not be used at all: ${BANNED[name]}. 'cargo tree -i ${name}' shows who brings it.`);
    if (name in FLOORS && isBelow(version, FLOORS[name])) {
      violations.push(
        `${name} ${version} is below ${FLOORS[name]}, the oldest version known to be safe. Run 'cargo update -p ${name}@${version}'.`,
      );
    }
  }
  return violations;
}

function selfTest() {
  const lock = (...packages) => packages.map(([name, version]) => `[[package]]\nname = "${name}"\nversion = "${version}"\n`).join('\n');
  const clean = Object.entries(FLOORS);
  assert.deepEqual(violationsOf(lock(...clean)), []);
  assert.deepEqual(violationsOf(lock(['yamux', '0.14.0'], ['yamux', '1.0.0'], ['redb', '10.0.0+build'])), []);
  for (const [name, floor] of clean) {
    // The last number that is not zero, one lower.
    const numbers = floor.split('.').map(Number);
    const at = numbers.findLastIndex((number) => number > 0);
    const below = numbers.map((number, index) => (index === at ? number - 1 : number)).join('.');
    for (const version of [below, `${floor}-rc.1`])
      assert.equal(violationsOf(lock(...clean, [name, version])).length, 1, `${name} ${version}`);
  }
  for (const name of Object.keys(BANNED)) assert.equal(violationsOf(lock(...clean, [name, '99.0.0'])).length, 1, name);
  assert.equal(violationsOf(lock(['yamux', '0.12.1'], ['openssl', '0.10.1'])).length, 2);
  assert.throws(() => violationsOf('# nothing'), /is this a Cargo.lock/);
}

function main() {
  const [argument = join(dirname(fileURLToPath(import.meta.url)), '../Cargo.lock')] = process.argv.slice(2);
  // Each time, because a check that cannot fail is worth nothing.
  selfTest();
  if (argument === '--self-test') {
    console.log('floors: the self-test passed: too old, pre-release and banned packages are refused.');
    return;
  }
  let violations;
  try {
    violations = violationsOf(readFileSync(argument, 'utf8'));
  } catch (error) {
    console.error(`floors: ${argument} cannot be checked: ${error.message}`);
    process.exit(2);
  }
  for (const violation of violations) console.error(`floors: ${violation}`);
  if (violations.length > 0) process.exit(1);
  console.log(`floors: ${argument} keeps all ${Object.keys(FLOORS).length} floors and has none of ${Object.keys(BANNED).join(', ')}.`);
}

main();
