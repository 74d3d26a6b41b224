/** Lines are told apart by dashes and labels, and by colour as well. */

/** Dashes of uPlot in CSS pixels, one for each colour `--line-N`. */
const DASHES: readonly (readonly number[])[] = [
  [],
  [7, 4],
  [2, 3],
  [10, 3, 2, 3],
  [4, 3],
  [12, 5],
  [10, 3, 2, 3, 2, 3],
  [1, 4],
];

export const STYLES = DASHES.length;

export function dash(style: number): number[] {
  return [...(DASHES[style % STYLES] ?? [])];
}

/** The current value of a colour of the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function lineColour(style: number): string {
  return colour(`line-${(style % STYLES) + 1}`);
}
