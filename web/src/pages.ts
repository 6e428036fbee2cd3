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

/** A page that shows nothing of the mesh takes no props. */
export type Page = Component<PageProps> | Component<Record<string, never>>;

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
  load: () => Promise<{ default: Page }>;
}

/** The four that a phone shows without opening the menu. */
const isAtHand = true;

// One page, one line.
// prettier-ignore
export const PAGES: readonly PageEntry[] = [
  { path: '/', role: 'viewer', load: () => import('./page/OverviewPage.svelte'), place: { group: 'watch', label: 'Overview', isAtHand, icon: 'M2 11h4l2.5-6 4 11 2.5-5h3' } },
  { path: '/matrix', role: 'viewer', load: () => import('./page/MatrixPage.svelte'), place: { group: 'watch', label: 'Matrix', isAtHand, icon: 'M3 3h14v14H3zM3 7.7h14M3 12.3h14M7.7 3v14M12.3 3v14' } },
  { path: '/incidents', role: 'viewer', load: () => import('./page/IncidentsPage.svelte'), place: { group: 'watch', label: 'Incidents', isAtHand, icon: 'M10 2.5 18 17H2zM10 8v4M10 14.4v.1' } },
  { path: '/incidents/:id', role: 'viewer', load: () => import('./page/IncidentPage.svelte') },
  { path: '/agents', role: 'viewer', load: () => import('./page/AgentsPage.svelte'), place: { group: 'watch', label: 'Agents', isAtHand, icon: 'M3 3.5h14v5H3zM3 11.5h14v5H3zM6 6h.01M6 14h.01' } },
  { path: '/agents/:name', role: 'viewer', load: () => import('./page/AgentPage.svelte') },
  { path: '/pairs/:source/:target', role: 'viewer', load: () => import('./page/PairPage.svelte') },
  { path: '/reports', role: 'viewer', load: () => import('./page/ReportsPage.svelte'), place: { group: 'watch', label: 'Reports', icon: 'M5 2.5h7l3.5 3.5v11.5H5zM8 14v-2M10.2 14V9M12.5 14v-3.5' } },
  { path: '/rules', role: 'viewer', load: () => import('./page/RulesPage.svelte'), place: { group: 'set-up', label: 'Rules and silences', icon: 'M5 8.200a5 5 0 0 1 10 0c0 4 1.600 5.300 1.600 5.300H3.400S5 12.200 5 8.200M8.300 16.500a1.900 1.900 0 0 0 3.400 0' } },
  { path: '/channels', role: 'operator', load: () => import('./page/ChannelsPage.svelte'), place: { group: 'set-up', label: 'Channels', icon: 'M2.500 4.500h15v11h-15zM2.800 5l7.200 6 7.200-6' } },
  { path: '/channels/:id', role: 'operator', load: () => import('./page/ChannelPage.svelte') },
  { path: '/config', role: 'viewer', load: () => import('./page/ConfigPage.svelte'), place: { group: 'set-up', label: 'Configuration', icon: 'M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4' } },
  { path: '/config/edit', role: 'operator', load: () => import('./page/ConfigEditPage.svelte') },
  { path: '/config/versions/:version', role: 'viewer', load: () => import('./page/ConfigVersionPage.svelte') },
  { path: '/join', role: 'admin', load: () => import('./page/JoinPage.svelte'), place: { group: 'set-up', label: 'Add agents', icon: 'M10 3v14M3 10h14' } },
  { path: '/users', role: 'admin', load: () => import('./page/UsersPage.svelte'), place: { group: 'administer', label: 'Users and tokens', icon: 'M10 10a3.3 3.3 0 1 0 0-6.6 3.3 3.3 0 0 0 0 6.6zM3.5 17c.6-3.2 3-4.7 6.5-4.7s5.9 1.5 6.5 4.7' } },
  { path: '/audit', role: 'admin', load: () => import('./page/AuditPage.svelte'), place: { group: 'administer', label: 'Audit log', icon: 'M4 4h12M4 8h12M4 12h7M12 14.5l1.8 1.8 3.2-3.6' } },
  { path: '/system', role: 'viewer', load: () => import('./page/SystemPage.svelte'), place: { group: 'administer', label: 'System', icon: 'M3 13.5a7 7 0 1 1 14 0M10 13.5l3.3-4.3M6 16.5h8' } },
  { path: '/docs/api', role: 'viewer', load: () => import('./page/ApiPage.svelte'), place: { group: 'administer', label: 'API', icon: 'M7 6l-4 4 4 4M13 6l4 4-4 4M11.3 4l-2.6 12' } },
  { path: '/account', role: 'viewer', load: () => import('./page/AccountPage.svelte') },
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
