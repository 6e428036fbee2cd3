// The whole of it: a lab, an aggregator and nine agents that joined by one token of nine uses.
import { Aggregator } from './aggregator.mjs';
import { Agent } from './agent.mjs';
import { HOSTS, Lab, siteOf } from './lab.mjs';
import { temporaryDirectory } from './programs.mjs';

/** Starts lab, aggregator and agents, but those named in `late`. `firstPage` is when the aggregator first answered. */
export async function startMesh(label, { late = [] } = {}) {
  const lab = Lab.up();
  const directory = temporaryDirectory(label);
  const aggregator = new Aggregator({ directory, address: lab.aggregatorAddress, port: 8443 });
  await aggregator.start();
  const firstPage = performance.now();
  const token = aggregator.joinToken(HOSTS.length);
  const agents = HOSTS.map(
    // A fixed port, because every host has an address of its own; peers remember it through a restart.
    (name) => new Agent({ directory, name, site: siteOf(name), address: lab.address(name), port: 7117, prefix: lab.inHost(name) }),
  );
  const early = agents.filter(({ name }) => !late.includes(name));
  for (const agent of early) agent.joinOk(token);
  await Promise.all(early.map((agent) => agent.start()));
  return { lab, directory, aggregator, agents, token, firstPage };
}

/** Ends everything in order, so that the tests that follow find an empty machine. */
export async function stopMesh(mesh) {
  if (!mesh) return;
  await Promise.all(mesh.agents.filter((agent) => agent.daemon?.lives).map((agent) => agent.stop()));
  if (mesh.aggregator.daemon.lives) await mesh.aggregator.daemon.stop();
  mesh.lab.down();
}
