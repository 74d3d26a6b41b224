/** A chart of lines over rows or generations. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { count, MINUS, score } from "../format/numbers";
import { theme } from "../state/theme";
import { useSignal } from "../state/signal";
import { drawLabels, drawMarks, labelWidth, type Label } from "./labels";
import { colour, dash, lineColour } from "./palette";

export interface Line {
  key: string;
  label: string;
  values: readonly (number | null)[];
  /** Place in the palette; a line without one stays in the background. */
  style: number | null;
  /** A line of the background belongs to one with a style, such as its mean. */
  thin?: boolean;
}

/** A level, such as the highest score of natural images. */
export interface Mark {
  label: string;
  value: number;
  style: number | null;
}

export interface ChartProps {
  x: readonly number[];
  lines: readonly Line[];
  marks: readonly Mark[];
  xLabel: string;
  yLabel: string;
  /** Describes the chart to those who do not see it. */
  summary: string;
  /** A place on the x axis that is looked at. */
  at?: number | null;
  height?: number;
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const mode = useSignal(theme);
  const structure = JSON.stringify([
    props.lines.map((line) => [line.key, line.label, line.style, line.thin]),
    props.xLabel,
    props.yLabel,
    mode,
  ]);

  useEffect(() => {
    const parent = box.current as HTMLDivElement;
    const tell = (text: string) => {
      if (readout.current) readout.current.textContent = text;
    };
    const made = new uPlot(options(latest, parent.clientWidth, tell), data(latest.current), parent);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: parent.clientWidth, height: heightOf(latest.current) }),
    );
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [structure]);

  useEffect(() => plot.current?.setData(data(props)), [props.x, props.lines]);
  useEffect(() => plot.current?.redraw(false), [props.at, props.marks]);

  return (
    <div class="chart">
      <div ref={box} role="img" aria-label={props.summary} />
      <p class="readout" ref={readout} aria-hidden="true" />
    </div>
  );
}

function heightOf(props: ChartProps): number {
  return props.height ?? 340;
}

function data(props: ChartProps): uPlot.AlignedData {
  return [props.x, ...props.lines.map((line) => line.values)] as unknown as uPlot.AlignedData;
}

type Latest = { current: ChartProps };

function options(latest: Latest, width: number, tell: (text: string) => void): uPlot.Options {
  const { current: props } = latest;
  const labelled = props.lines.filter((line) => line.style !== null && !line.thin);
  const right = labelWidth([...labelled, ...props.marks].map(({ label }) => label), FONT);
  return {
    width,
    height: heightOf(props),
    padding: [10, right, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.35 },
    cursor: { focus: { prox: 24 }, points: { size: 5 }, y: false, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: { range: (_, low, high) => around(low, high, latest.current.marks) } },
    axes: [
      { ...axis(props.xLabel, (splits) => splits.map(count)), size: 30 },
      { ...axis(props.yLabel, ticks), size: 52 },
    ],
    series: [{}, ...props.lines.map((line) => series(line, props.lines.length))],
    hooks: {
      draw: [(plot) => drawAll(plot, latest.current)],
      setSeries: [(plot, focused) => tell(read(plot, latest.current, focused))],
      setCursor: [(plot) => tell(read(plot, latest.current, focusedSeries(plot)))],
    },
  };
}

function series(line: Line, of: number): uPlot.Series {
  const faint = line.style === null;
  return {
    label: line.label,
    stroke: faint ? colour("line-faint") : lineColour(line.style ?? 0),
    width: faint || line.thin ? 1 : 2,
    dash: faint ? [] : dash(line.style ?? 0),
    alpha: line.thin ? 0.5 : faint ? Math.max(0.35, Math.min(1, 25 / of)) : 1,
    spanGaps: true,
    points: { show: !faint && ((plot, place) => known(plot.data[place]) === 1), size: 7 }, // a line needs two
  };
}

function known(values: ArrayLike<number | null | undefined> | undefined): number {
  return Array.from(values ?? []).filter((value) => value !== null && value !== undefined).length;
}

function axis(label: string, format: (splits: number[]) => string[]): uPlot.Axis {
  return {
    label,
    labelSize: 22,
    labelFont: FONT,
    font: FONT,
    stroke: colour("ink-soft"),
    grid: { stroke: colour("rule-faint"), width: 1 },
    ticks: { show: false },
    values: (_, splits) => format(splits),
  };
}

export const FONT = '12px system-ui, -apple-system, "Segoe UI", sans-serif';

/** Numbers at the y axis, all with the decimals that their distance needs. */
function ticks(splits: number[]): string[] {
  const step = Math.abs((splits[1] ?? 0) - (splits[0] ?? 0)) || 1;
  const most = Math.max(...splits.map(Math.abs));
  if (most >= 1e6 || step < 1e-5) return splits.map((value) => score(value, 3));
  const places = [0, 1, 2, 3, 4, 5].find((digits) => Math.abs(round(step, digits) - step) < step / 100) ?? 6;
  return splits.map((value) => value.toFixed(places).replace("-", MINUS));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The range of y: all values and marks, and a little air. */
function around(low: number | null, high: number | null, marks: readonly Mark[]): [number, number] {
  const values = [low, high, ...marks.map((mark) => mark.value)].filter(
    (value): value is number => value !== null && Number.isFinite(value),
  );
  if (!values.length) return [0, 1];
  const least = Math.min(...values);
  const most = Math.max(...values);
  const air = (most - least || Math.abs(most) || 1) * 0.06;
  return [least - air, most + air];
}

function drawAll(plot: uPlot, props: ChartProps): void {
  drawMarks(plot, props.marks, props.at ?? null);
  const labels: Label[] = props.lines
    .filter((line) => line.style !== null && !line.thin)
    .map((line) => ({ text: line.label, value: lastOf(line.values), style: line.style }));
  for (const mark of props.marks) labels.push({ text: mark.label, value: mark.value, style: null });
  drawLabels(plot, labels, FONT);
}

function lastOf(values: readonly (number | null)[]): number | null {
  for (let place = values.length - 1; place >= 0; place--) {
    const value = values[place];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

function focusedSeries(plot: uPlot): number | null {
  const found = plot.series.findIndex(
    (one, place) => place > 0 && (one as { _focus?: boolean | null })._focus === true,
  );
  return found > 0 ? found : null;
}

/** What is under the pointer, in words. */
function read(plot: uPlot, props: ChartProps, focused: number | null): string {
  const place = plot.cursor.idx;
  if (place === null || place === undefined) return "";
  const at = `${count(props.x[place])} ${props.xLabel}`;
  const line = focused ? props.lines[focused - 1] : props.lines.length === 1 ? props.lines[0] : null;
  return line ? `${line.label}: ${score(line.values[place])} at ${at}` : at;
}
