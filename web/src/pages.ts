/**
 * Every page of the dashboard. One line here gives a page its address, its place in the navigation, the role
 * that it needs, and a script of its own that is loaded when somebody goes there.
 */

import type { Component } from 'svelte';
import { matchPath, type Params } from './model/route';
import type { Role } from './model/role';
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
  isAtHand?: boolean;
}

export interface PageEntry {
  path: string;
  role: Role;
  /** Pages without a place are reached from another one. */
  place?: Place;
  load: () => Promise<{ default: Component<PageProps> }>;
}

/** The three that a phone shows without opening the menu. */
const isAtHand = true;

// One page, one line.
// prettier-ignore
export const PAGES: readonly PageEntry[] = [
  { path: '/', role: 'viewer', load: () => import('./page/OverviewPage.svelte'), place: { group: 'watch', label: 'Overview', isAtHand, icon: 'M2 11h4l2.5-6 4 11 2.5-5h3' } },
  { path: '/matrix', role: 'viewer', load: () => import('./page/MatrixPage.svelte'), place: { group: 'watch', label: 'Matrix', isAtHand, icon: 'M3 3h14v14H3zM3 7.7h14M3 12.3h14M7.7 3v14M12.3 3v14' } },
  { path: '/agents', role: 'viewer', load: () => import('./page/AgentsPage.svelte'), place: { group: 'watch', label: 'Agents', isAtHand, icon: 'M3 3.5h14v5H3zM3 11.5h14v5H3zM6 6h.01M6 14h.01' } },
  { path: '/agents/:name', role: 'viewer', load: () => import('./page/AgentPage.svelte') },
  { path: '/pairs/:source/:target', role: 'viewer', load: () => import('./page/PairPage.svelte') },
  { path: '/join', role: 'admin', load: () => import('./page/JoinPage.svelte'), place: { group: 'set-up', label: 'Add agents', icon: 'M10 3v14M3 10h14' } },
];

export interface FoundPage {
  entry: PageEntry;
  params: Params;
}

export function findPage(path: string): FoundPage | null {
  for (const entry of PAGES) {
    const params = matchPath(entry.path, path);
    if (params) return { entry, params };
  }
  return null;
}

export const GROUPS: readonly { group: Group; label: string }[] = [
  { group: 'watch', label: 'Watch' },
  { group: 'set-up', label: 'Set up' },
  { group: 'administer', label: 'Administer' },
];
