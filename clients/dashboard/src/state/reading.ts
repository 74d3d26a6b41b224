/** Reads something once for a component, and again when what it depends on changes. */

import { useEffect, useState } from "preact/hooks";
import { thrown } from "./problems";
import { isReachable, useStore } from "./store";

/** The answer; null until it is there. A failed request is repeated when the server is back. */
export function useRead<T>(read: () => Promise<T>, dependsOn: readonly unknown[]): T | null {
  const [answer, set] = useState<T | null>(null);
  const reachable = useStore(isReachable);
  useEffect(() => set(null), dependsOn as unknown[]);
  useEffect(() => {
    if (!reachable) return;
    let gone = false;
    read().then(
      (found) => gone || set(() => found),
      (error: unknown) => gone || thrown(error),
    );
    return () => {
      gone = true;
    };
  }, [...dependsOn, reachable]);
  return answer;
}
