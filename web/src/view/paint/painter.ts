/** The two canvases of the matrix: cells with their axes below, marks above. */

import type { Grid } from '../../model/grid';
import { measureGutters, type Gutters, type LabelSizes } from '../../model/gutter';
import type { AgentLabel } from '../../model/order';
import type { Box, Viewport } from '../../model/viewport';
import { drawAxes, drawSeparators } from './axes';
import { drawOverlay, type Marks } from './overlay';
import type { Surface } from './surface';
import { drawCells, GLYPHS_FROM, TILES_FROM, type Palette } from './tiles';

export interface Scene {
  grid: Grid;
  surface: Surface;
  agents: AgentLabel[];
  view: Viewport;
  /** The room for cells, without the gutters. */
  box: Box;
  gutters: Gutters;
  palette: Palette;
}

export class Painter {
  #cells: CanvasRenderingContext2D;
  #overlay: CanvasRenderingContext2D;
  #ratio = 1;

  constructor(cells: HTMLCanvasElement, overlay: HTMLCanvasElement) {
    this.#cells = context2d(cells);
    this.#overlay = context2d(overlay);
  }

  resize(whole: Box): void {
    this.#ratio = window.devicePixelRatio || 1;
    for (const { canvas } of [this.#cells, this.#overlay]) {
      canvas.width = Math.round(whole.width * this.#ratio);
      canvas.height = Math.round(whole.height * this.#ratio);
    }
  }

  gutters(whole: Box, grid: Grid, agents: AgentLabel[], font: string, zoomed: number): Gutters {
    return measureGutters(whole, grid.rows, grid.columns, this.#labelSizes(agents, font), zoomed);
  }

  paint(scene: Scene): void {
    const { grid, surface, agents, view, box, gutters, palette } = scene;
    const context = this.#cells;
    this.#clear(context);
    context.save();
    context.beginPath();
    context.rect(gutters.left, gutters.top, box.width, box.height);
    context.clip();
    context.translate(gutters.left, gutters.top);
    if (view.scaleY < TILES_FROM) surface.draw(context, view, this.#ratio);
    if (view.scaleY >= GLYPHS_FROM) drawCells(context, grid, view, box, palette);
    drawSeparators(context, grid, view, box, palette);
    context.restore();
    drawAxes(context, grid, agents, view, box, gutters, palette);
  }

  paintMarks(scene: Scene, marks: Marks): void {
    this.#clear(this.#overlay);
    drawOverlay(this.#overlay, marks, scene.view, scene.box, scene.gutters, scene.palette);
  }

  #clear(context: CanvasRenderingContext2D): void {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
  }

  #labelSizes(agents: AgentLabel[], font: string): LabelSizes {
    const context = this.#cells;
    context.font = `12px ${font}`;
    const width = (text: string) => context.measureText(text).width;
    const agent = agents.reduce((most, { name }) => Math.max(most, width(name)), 0);
    context.font = `600 11px ${font}`;
    const site = agents.reduce((most, agent) => Math.max(most, width(agent.site)), 0);
    return { agent: Math.ceil(agent), site: Math.ceil(site) };
  }
}

function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('This browser cannot draw: it gave no 2D canvas.');
  return context;
}
