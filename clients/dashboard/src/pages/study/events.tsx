/** What happened to a study, in words, the newest first. */

import { useEffect, useRef } from "preact/hooks";
import * as calls from "../../api/calls";
import type { Detail } from "../../state/reducer";
import { count } from "../../format/numbers";
import { clock, dateTime } from "../../format/times";
import { thrown } from "../../state/problems";
import { store } from "../../state/store";

const PACE_MS = 2500;
const MOST = 200;

export function Events({ detail }: { detail: Detail }) {
  const { study, log, sequence } = detail;
  const read = useRef({ sequence: -1, at: 0 });

  useEffect(() => {
    if (read.current.sequence >= sequence) return;
    const wait = Math.max(0, read.current.at + PACE_MS - Date.now());
    const timer = setTimeout(() => {
      if (!store.state.link.server) return;
      const after = Math.max(0, log[0]?.sequence ?? 0);
      read.current = { sequence, at: Date.now() };
      calls
        .log(study.id, after, MOST)
        .then((entries) => store.dispatch({ do: "log", id: study.id, entries }), thrown);
    }, wait);
    return () => clearTimeout(timer);
  }, [study.id, sequence]);

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
