/** A picture that is loaded when it comes into view, and replaced without a flicker. */

import { useEffect, useRef, useState } from "preact/hooks";
import { enqueue } from "./queue";

/** A picture is replaced at most this often. */
const PACE_MS = 1000;
/** A picture that does not come is asked for again, so many times in all. */
const ATTEMPTS = 4;
const AGAIN_MS = 2500;

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
    let timer: ReturnType<typeof setTimeout>;
    let left = ATTEMPTS;
    const attempt = async () => {
      changed.current = Date.now();
      const fine = await fetched(src);
      if (image.current !== element || left === 0) return;
      if (fine) {
        element.src = src;
        setLoaded(true);
      } else if (--left > 0) later(AGAIN_MS);
    };
    const later = (milliseconds: number) => {
      timer = setTimeout(() => {
        take = enqueue(attempt);
      }, milliseconds);
    };
    later(Math.max(0, changed.current + PACE_MS - Date.now()));
    return () => {
      left = 0;
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

/** Whether a picture has come; the browser then has it at hand for an element. */
function fetched(src: string): Promise<boolean> {
  return new Promise((resolve) => {
    const loader = new Image();
    loader.onload = () => resolve(true);
    loader.onerror = () => resolve(false);
    loader.src = src;
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
