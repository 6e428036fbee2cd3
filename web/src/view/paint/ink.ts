/** Colours of everything on the canvas that is not a class of a lens. */

import type { Theme } from '../../state/theme.svelte';
import { STYLES, type Lens } from '../../model/lens';

export interface Ink {
  surface: string;
  label: string;
  muted: string;
  strong: string;
  line: string;
  accent: string;
  highlight: string;
  /** The two hairlines of a crosshair: one of them shows on every colour. */
  inner: string;
  outer: string;
}

export const INKS: Record<Theme, Ink> = {
  light: {
    surface: '#ffffff',
    label: '#3f4b57',
    muted: '#66727e',
    strong: '#17202a',
    line: '#c3ccd5',
    accent: '#1a5c97',
    highlight: 'rgba(26, 92, 151, 0.11)',
    inner: '#ffffff',
    outer: '#10161d',
  },
  dark: {
    surface: '#191f27',
    label: '#b9c4cf',
    muted: '#8d99a6',
    strong: '#f0f4f8',
    line: '#46515d',
    accent: '#7cc0f5',
    highlight: 'rgba(124, 192, 245, 0.16)',
    inner: '#0b0f14',
    outer: '#ffffff',
  },
};

export interface Swatch {
  css: string;
  /** The same colour as the canvas keeps it in memory: one u32 of R, G, B, A bytes. */
  rgba: number;
  /** Text and glyphs on top of it. */
  ink: string;
}

/** One swatch per class; classes that a lens does not use look like the surface and never occur. */
export function swatches(lens: Lens, theme: Theme): Swatch[] {
  return STYLES[lens].map((style) => {
    const css = style ? style[theme] : INKS[theme].surface;
    const [red, green, blue] = channels(css);
    const rgba = new Uint32Array(new Uint8Array([red, green, blue, 255]).buffer)[0];
    return { css, rgba, ink: luminance(red, green, blue) > 0.3 ? '#14202b' : '#f7fafc' };
  });
}

function channels(hex: string): [number, number, number] {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 0xff, value & 0xff];
}

/** Relative luminance of sRGB, as WCAG 2 defines it. */
function luminance(red: number, green: number, blue: number): number {
  const [r, g, b] = [red, green, blue].map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
