/** A grid of equal tiles, of which only those near the view exist. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { GAP, type View, visible } from "./view";

interface WindowedProps<T> {
  items: readonly T[];
  tileWidth: number;
  tileHeight: number;
  /** Tiles in a row: as many as fit where unset. */
  columns?: number;
  label: string;
  keyOf: (item: T) => string | number;
  render: (item: T) => ComponentChildren;
}

export function Windowed<T>(props: WindowedProps<T>) {
  const { items, tileWidth, tileHeight, label, keyOf, render } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<View>({ columns: 1, first: 0, last: 6 });
  const step = tileHeight + GAP;
  const { columns: fixed } = props;

  useEffect(() => {
    const element = box.current as HTMLDivElement;
    let frame = 0;
    const measure = () => {
      frame = 0;
      const { top, width } = element.getBoundingClientRect();
      const next = visible(top, width, innerHeight, tileWidth, step, fixed);
      setView((now) =>
        now.columns === next.columns && now.first === next.first && now.last === next.last ? now : next,
      );
    };
    const soon = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    const observer = new ResizeObserver(soon);
    observer.observe(element);
    addEventListener("scroll", soon, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      removeEventListener("scroll", soon);
    };
  }, [tileWidth, step, fixed]);

  const rows = Math.ceil(items.length / view.columns);
  const first = Math.min(view.first, Math.max(0, rows - 1));
  const shown = items.slice(first * view.columns, (view.last + 1) * view.columns);
  return (
    <div ref={box} class="windowed" role="list" aria-label={label} style={{ height: `${rows * step - GAP}px` }}>
      <div
        class="tiles"
        role="presentation"
        style={{
          transform: `translateY(${first * step}px)`,
          gridTemplateColumns: `repeat(${view.columns}, minmax(0, 1fr))`,
          gridAutoRows: `${tileHeight}px`,
          gap: `${GAP}px`,
        }}
      >
        {shown.map((item) => (
          <div role="listitem" key={keyOf(item)}>
            {render(item)}
          </div>
        ))}
      </div>
    </div>
  );
}
