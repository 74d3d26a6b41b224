/** The best stimulus of a target, drawn as what it is: a picture, a series or a table. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as calls from "../api/calls";
import type { BestJson, Json, StimulusKind } from "../api/types";
import { value } from "../format/words";
import { Picture, square } from "./picture";
import { enqueue } from "./queue";

interface StimulusProps {
  study: string;
  target: number;
  title: string;
  kind: StimulusKind;
  /** Score of the best: it changes when the stimulus does. Null while there is none. */
  best: number | null;
  size: number;
  generation?: number | null;
  eager?: boolean;
}

export function Stimulus(props: StimulusProps) {
  const { study, target, title, kind, best, size, generation = null, eager = false } = props;
  if (kind !== "image" && best !== null && generation === null) return <Values {...props} best={best} />;
  const resolution = size > 130 ? 256 : 128;
  const src = best === null ? null : calls.bestPicture(study, target, resolution, String(best), generation);
  return <Picture src={src} alt={`Best stimulus of ${title}`} size={size} eager={eager} />;
}

function Values({ study, target, title, kind, best, size }: StimulusProps & { best: number }) {
  const found = useBest(study, target, best);
  if (!found) return <div class="picture empty" style={square(size)} />;
  return kind === "series" ? (
    <SeriesPlot channels={asChannels(found)} label={`Best series of ${title}`} size={size} />
  ) : (
    <ValueTable values={asRow(found)} size={size} />
  );
}

/** The best stimulus in numbers, read again when its score changes. */
export function useBest(study: string, target: number, best: number | null): BestJson | null {
  const [found, set] = useState<BestJson | null>(null);
  const shownOf = useRef("");
  useEffect(() => {
    if (best === null) return;
    const of = `${study} ${target}`;
    if (shownOf.current !== of) set(null);
    shownOf.current = of;
    const abort = new AbortController();
    const take = enqueue(() =>
      calls.best(study, target, abort.signal).then(set, () => {}), // the next score asks again
    );
    return () => {
      take();
      abort.abort();
    };
  }, [study, target, best]);
  return found;
}

function asChannels(found: BestJson): (number | null)[][] {
  const values = found.values as (number | null)[] | (number | null)[][] | null;
  if (!values?.length) return [];
  return Array.isArray(values[0]) ? (values as (number | null)[][]) : [values as (number | null)[]];
}

function asRow(found: BestJson): Record<string, Json> {
  const { values } = found;
  if (!values) return {};
  return Array.isArray(values)
    ? Object.fromEntries(values.flat().map((entry, place) => [`column ${place}`, entry]))
    : values;
}

/** Channels of a series over time, all on one scale. */
export function SeriesPlot(props: { channels: (number | null)[][]; label: string; size: number }) {
  const { channels, label, size } = props;
  const all = channels.flat().filter((entry): entry is number => entry !== null);
  const low = Math.min(...all);
  const high = Math.max(...all);
  const y = (entry: number) => 95 - (90 * (entry - low)) / (high - low || 1);
  return (
    <svg class="series" viewBox="0 0 100 100" width={size} height={size} preserveAspectRatio="none" role="img" aria-label={label}>
      {channels.map((channel, place) => (
        <polyline class={`stroke-${(place % 8) + 1}`} points={points(channel, y)} />
      ))}
    </svg>
  );
}

function points(channel: (number | null)[], y: (entry: number) => number): string {
  const step = 100 / Math.max(1, channel.length - 1);
  return channel
    .map((entry, place) => (entry === null ? "" : `${(place * step).toFixed(2)},${y(entry).toFixed(2)}`))
    .join(" ");
}

export function ValueTable({ values, size }: { values: Record<string, Json>; size: number }) {
  const most = Math.max(3, Math.floor(size / 22));
  const rows = Object.entries(values);
  return (
    <table class="values" style={{ width: `${size}px` }}>
      <tbody>
        {rows.slice(0, most).map(([column, entry]) => (
          <tr key={column}>
            <th scope="row">{column}</th>
            <td>{value(entry)}</td>
          </tr>
        ))}
        {rows.length > most && (
          <tr>
            <td colSpan={2}>and {rows.length - most} more</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
