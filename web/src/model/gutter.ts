/** How much room the axes need, and what they can say at this size. */

import type { Axis } from './order';
import { fit, type Box } from './viewport';

export interface Gutters {
  left: number;
  top: number;
  /** Width of the column of site names inside the left gutter; 0 when it is left out. */
  siteWidth: number;
  siteHeight: number;
  /** Column labels lie flat when the cells are wide enough for them. */
  isFlat: boolean;
}

export interface LabelSizes {
  agent: number;
  site: number;
}

export const TITLE = 18;
const SITE_ROW = 20;
const AGENT_ROW = 20;
const PADDING = 8;
/** A name longer than this is cut with an ellipsis; the tooltip has all of it. */
export const LABEL_MAX = 132;
/** From this cell height on, every agent's own name fits beside its row. */
export const AGENT_LABEL_FROM = 11;
const NARROW = 560;

/** Sizes depend on the cells and the cells on the sizes; two passes settle it. */
export function measureGutters(
  whole: Box,
  rows: Axis,
  columns: Axis,
  sizes: LabelSizes,
  zoomedCell: number,
): Gutters {
  const named = (axis: Axis) =>
    axis.blocks.length > 1 && axis.blocks.some(({ site }) => site !== '');
  const sites = { rows: named(rows), columns: named(columns) };
  let gutters = guess(whole, sizes, sites, true, false);
  for (let pass = 0; pass < 2; pass += 1) {
    const view = fit(inside(whole, gutters), columns.agents.length, rows.agents.length);
    const cell = Math.max(view.scaleY, zoomedCell);
    const isFlat = view.scaleX >= Math.min(sizes.agent, LABEL_MAX) + PADDING;
    gutters = guess(whole, sizes, sites, cell >= AGENT_LABEL_FROM, isFlat);
  }
  return gutters;
}

export function inside(whole: Box, gutters: Gutters): Box {
  return {
    width: Math.max(1, whole.width - gutters.left),
    height: Math.max(1, whole.height - gutters.top),
  };
}

function guess(
  whole: Box,
  sizes: LabelSizes,
  sites: { rows: boolean; columns: boolean },
  hasAgents: boolean,
  isFlat: boolean,
): Gutters {
  const agent = hasAgents ? Math.min(sizes.agent, LABEL_MAX) + PADDING : 0;
  // On a phone the names win over the site column: sites are often part of them, and the lines remain.
  const hasSiteColumn = sites.rows && (whole.width >= NARROW || !hasAgents);
  const siteWidth = hasSiteColumn ? Math.min(sizes.site, LABEL_MAX) + PADDING * 2 : 0;
  const siteHeight = sites.columns ? SITE_ROW : 0;
  const agentRow = isFlat ? AGENT_ROW : agent;
  return {
    left: TITLE + siteWidth + agent,
    top: TITLE + siteHeight + agentRow,
    siteWidth,
    siteHeight,
    isFlat,
  };
}
