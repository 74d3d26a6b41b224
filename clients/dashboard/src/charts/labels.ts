/** Labels at the ends of lines, and levels across a chart. */

import type uPlot from "uplot";
import type { Mark } from "./chart";
import { colour, lineColour } from "./palette";

export interface Label {
  text: string;
  value: number | null;
  style: number | null;
}

const LINE_HEIGHT = 15;
const MOST_CHARACTERS = 24;

/** Room to the right of a chart, in CSS pixels. */
export function labelWidth(labels: readonly string[], font: string): number {
  const ctx = document.createElement("canvas").getContext("2d") as CanvasRenderingContext2D;
  ctx.font = font;
  const widest = Math.max(0, ...labels.map((label) => ctx.measureText(short(label)).width));
  return Math.ceil(widest) + 16;
}

function short(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text;
}

/** Writes each label at the height of its value, or as near as the others let it. */
export function drawLabels(plot: uPlot, labels: readonly Label[], font: string): void {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  const placed = labels
    .filter((label) => label.value !== null)
    .map((label) => ({ ...label, y: plot.valToPos(label.value as number, "y", true) }))
    .sort((one, other) => one.y - other.y);
  spreadOut(placed, LINE_HEIGHT * scale, bbox.top, bbox.top + bbox.height);
  ctx.save();
  ctx.font = font.replace(/^(\d+)px/, (_, size: string) => `${Number(size) * scale}px`);
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const label of placed) {
    ctx.fillStyle = label.style === null ? colour("ink-soft") : lineColour(label.style);
    ctx.fillText(short(label.text), bbox.left + bbox.width + 8 * scale, label.y);
  }
  ctx.restore();
}

/** Moves places in ascending order apart by `gap`, and keeps them within bounds. */
export function spreadOut(places: { y: number }[], gap: number, low: number, high: number): void {
  let next = low;
  for (const place of places) {
    place.y = Math.max(place.y, next);
    next = place.y + gap;
  }
  let limit = high;
  for (const place of [...places].reverse()) {
    place.y = Math.min(place.y, limit);
    limit = place.y - gap;
  }
}

/** Draws levels as dotted horizontal lines, and the place that is looked at as a vertical one. */
export function drawMarks(plot: uPlot, marks: readonly Mark[], at: number | null): void {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.lineWidth = scale;
  ctx.setLineDash([2 * scale, 3 * scale]);
  for (const mark of marks) {
    ctx.strokeStyle = mark.style === null ? colour("ink-soft") : lineColour(mark.style);
    const y = Math.round(plot.valToPos(mark.value, "y", true));
    stroke(ctx, bbox.left, y, bbox.left + bbox.width, y);
  }
  if (at !== null) {
    ctx.setLineDash([]);
    ctx.strokeStyle = colour("ink");
    const x = Math.round(plot.valToPos(at, "x", true));
    stroke(ctx, x, bbox.top, x, bbox.top + bbox.height);
  }
  ctx.restore();
}

function stroke(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
