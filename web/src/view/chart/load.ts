/** The chart library is a script of its own: half the weight of the page, and needed by one page only. */

import type uPlot from 'uplot';

let loading: Promise<typeof uPlot> | null = null;

export function loadCharts(): Promise<typeof uPlot> {
  loading ??= import('uplot').then((module) => module.default);
  // A failure is not kept: the next chart may have more luck.
  loading.catch(() => (loading = null));
  return loading;
}
