/** Two kinds of things stand in the matrix: agents, which measure, and endpoints, which are measured and measure nothing. */

import { plural } from './format';

export interface Kind {
  kind?: 'agent' | 'endpoint';
  /** The configuration has it measured by nobody, and nobody by it. */
  isLeftOut?: boolean;
}

export function isEndpoint(one: Kind | undefined): boolean {
  return one?.kind === 'endpoint';
}

export function membersOf<T extends Kind>(all: readonly T[]): T[] {
  return all.filter((one) => !isEndpoint(one));
}

/** "9 agents in 3 sites", and the endpoints where there are any. Those left out are in no pair, and not counted. */
export function sayPopulation(all: readonly (Kind & { site: string })[]): string {
  const members = membersOf(all).filter(({ isLeftOut }) => !isLeftOut);
  const sites = new Set(members.map(({ site }) => site)).size;
  const said = `${plural(members.length, 'agent')} in ${plural(sites, 'site')}`;
  const endpoints = all.filter(isEndpoint).length;
  return endpoints === 0 ? said : `${said}, and to ${plural(endpoints, 'endpoint')}`;
}
