/** What happened to a study, in words, the newest first. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as calls from "../../api/calls";
import type { Detail } from "../../state/reducer";
import { count } from "../../format/numbers";
import { clock, dateTime } from "../../format/times";
import { thrown } from "../../state/problems";
import { isReachable, store, useStore } from "../../state/store";

const PACE_MS = 2500;
const MOST = 200;

export function Events({ detail }: { detail: Detail }) {
  const { study, log, sequence } = detail;
  const reachable = useStore(isReachable);
  const [failures, setFailures] = useState(0);
  const read = useRef({ sequence: -1, at: 0 });

  useEffect(() => {
    if (!reachable || read.current.sequence >= sequence) return;
    const wait = Math.max(0, read.current.at + PACE_MS - Date.now());
    const timer = setTimeout(() => {
      read.current.at = Date.now();
      calls.log(study.id, log[0]?.sequence ?? 0, MOST).then(
        (entries) => {
          read.current.sequence = Math.max(read.current.sequence, sequence);
          store.dispatch({ do: "log", id: study.id, entries });
        },
        (error: unknown) => {
          thrown(error, study.id);
          setFailures((number) => number + 1); // once more
        },
      );
    }, wait);
    return () => clearTimeout(timer);
  }, [study.id, sequence, reachable, failures]);

  return (
    <section>
      <h2>Events</h2>
      {log.length ? (
        <div class="log" tabIndex={0} role="log" aria-label="Events of the study">
          <table class="plain">
            <tbody>
              {log.slice(0, MOST).map((entry) => (
                <tr key={entry.sequence}>
                  <td class="number soft">{count(entry.sequence)}</td>
                  <td class="soft" title={dateTime(entry.time)}>
                    {clock(entry.time)}
                  </td>
                  <td>{entry.text}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p class="nothing">Nothing has happened yet.</p>
      )}
    </section>
  );
}
