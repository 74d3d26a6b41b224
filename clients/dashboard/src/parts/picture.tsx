/** A picture that is loaded when it comes into view, and replaced without a flicker. */

import { useEffect, useRef, useState } from "preact/hooks";
import { enqueue } from "./queue";

/** A picture is replaced at most this often. */
const PACE_MS = 1000;

interface PictureProps {
  src: string | null;
  alt: string;
  size: number;
  /** Loads at once, without regard to what is in view. */
  eager?: boolean;
}

export function Picture({ src, alt, size, eager }: PictureProps) {
  const image = useRef<HTMLImageElement>(null);
  const [loaded, setLoaded] = useState(false);
  const inView = useInView(image, eager ?? false);
  const changed = useRef(0);

  useEffect(() => {
    const element = image.current;
    if (!src || !element || !inView || element.getAttribute("src") === src) return;
    let take = () => {};
    const wait = Math.max(0, changed.current + PACE_MS - Date.now());
    const timer = setTimeout(() => {
      take = enqueue(() => {
        changed.current = Date.now();
        return shown(element, src).then(setLoaded);
      });
    }, wait);
    return () => {
      clearTimeout(timer);
      take();
    };
  }, [src, inView]);

  return (
    <span class={loaded ? "picture" : "picture empty"} style={square(size)}>
      <img ref={image} alt={loaded ? alt : ""} width={size} height={size} decoding="async" />
    </span>
  );
}

/** The style of a square of `size` pixels. */
export function square(size: number): { width: string; height: string } {
  return { width: `${size}px`, height: `${size}px` };
}

/** Shows a picture; until it has come the element shows the one before. */
function shown(element: HTMLImageElement, src: string): Promise<boolean> {
  return new Promise((resolve) => {
    element.onload = () => resolve(true);
    element.onerror = () => resolve(false);
    element.src = src;
  });
}

function useInView(target: { current: Element | null }, always: boolean): boolean {
  const [inView, set] = useState(always);
  useEffect(() => {
    if (always || !target.current) return;
    const observer = new IntersectionObserver(
      (entries) => set(entries.some((entry) => entry.isIntersecting)),
      { rootMargin: "200px" },
    );
    observer.observe(target.current);
    return () => observer.disconnect();
  }, [always]);
  return inView;
}
