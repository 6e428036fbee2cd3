/**
 * Every page of the dashboard. One line here gives a page its address, its place in the navigation, the role
 * that it needs, and a script of its own that is loaded when somebody goes there.
 */

import type { Component } from 'svelte';
import type { Params } from './model/route';
import type { Role } from './model/role';
import OverviewPage from './page/OverviewPage.svelte';
import type { Mesh } from './state/mesh.svelte';

export interface PageProps {
  mesh: Mesh;
  params: Params;
}

export type Group = 'watch' | 'set-up' | 'administer';

/** Icons are paths on a 20 × 20 grid, drawn as lines. */
export interface Place {
  group: Group;
  label: string;
  icon: string;
  /** One of the three that a phone shows without opening the menu. */
  isAtHand?: boolean;
}

export interface PageEntry {
  path: string;
  role: Role;
  /** Pages without a place are reached from another one. */
  place?: Place;
  load: () => Promise<{ default: Component<PageProps> }>;
}

const overview: Place = {
  group: 'watch',
  label: 'Overview',
  icon: 'M2 11h4l2.500-6 4 11 2.500-5h3',
  isAtHand: true,
};
const matrix: Place = {
  group: 'watch',
  label: 'Matrix',
  icon: 'M3 3h14v14H3zM3 7.700h14M3 12.300h14M7.700 3v14M12.300 3v14',
  isAtHand: true,
};
const agents: Place = {
  group: 'watch',
  label: 'Agents',
  icon: 'M3 3.500h14v5H3zM3 11.500h14v5H3zM6 6h.01M6 14h.01',
  isAtHand: true,
};
const join: Place = { group: 'set-up', label: 'Add agents', icon: 'M10 3v14M3 10h14' };

// prettier-ignore -- one page, one line
export const PAGES: readonly PageEntry[] = [
  {
    path: '/',
    role: 'viewer',
    place: overview,
    load: () => Promise.resolve({ default: OverviewPage }),
  },
  {
    path: '/matrix',
    role: 'viewer',
    place: matrix,
    load: () => import('./page/MatrixPage.svelte'),
  },
  {
    path: '/agents',
    role: 'viewer',
    place: agents,
    load: () => import('./page/AgentsPage.svelte'),
  },
  { path: '/agents/:name', role: 'viewer', load: () => import('./page/AgentPage.svelte') },
  { path: '/pairs/:source/:target', role: 'viewer', load: () => import('./page/PairPage.svelte') },
  { path: '/join', role: 'admin', place: join, load: () => import('./page/JoinPage.svelte') },
];

export const GROUPS: readonly { group: Group; label: string }[] = [
  { group: 'watch', label: 'Watch' },
  { group: 'set-up', label: 'Set up' },
  { group: 'administer', label: 'Administer' },
];
