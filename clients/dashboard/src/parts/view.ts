/** Which rows of a long grid are near the view. */

export interface View {
  columns: number;
  first: number;
  last: number;
}

/** Between tiles, in pixels. */
export const GAP = 14;
const AHEAD = 2;

/** The rows near the view, for a grid whose upper edge is `top` below that of the window. */
export function visible(
  top: number,
  width: number,
  height: number,
  tileWidth: number,
  step: number,
  fixed: number | undefined,
): View {
  const columns = fixed ?? Math.max(1, Math.floor((width + GAP) / (tileWidth + GAP)));
  const first = Math.max(0, Math.floor(-top / step) - AHEAD);
  const last = Math.max(first, Math.ceil((height - top) / step) + AHEAD);
  return { columns, first, last };
}
