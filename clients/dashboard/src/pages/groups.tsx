/** Groups of studies: comparisons, sweeps, attacks. */

import * as calls from "../api/calls";
import type { Group, Member, Summary } from "../api/types";
import { plural } from "../format/numbers";
import { dateTime } from "../format/times";
import { useClock } from "../parts/frame";
import { Labels, State } from "../parts/small";
import { useRead } from "../state/reading";
import { to } from "../state/route";
import { useStore } from "../state/store";
import { StudyTable } from "./study_table";

export function GroupsPage() {
  const groups = useRead(calls.groups, []);
  return (
    <>
      <div class="heading">
        <h1>Groups</h1>
        <p class="soft">Studies that belong together: comparisons, sweeps, attacks.</p>
      </div>
      {!groups && <p class="nothing">Reading the groups…</p>}
      {groups && !groups.length && <p class="nothing">There is no group yet.</p>}
      {groups && groups.length > 0 && <GroupTable groups={groups} />}
      <Attacks />
    </>
  );
}

/** An attack is a study that searches, between one that measures the inputs and one that verifies. */
const ATTACK = /^(.+)-search(-\d+)?$/;

function Attacks() {
  const studies = useStore((state) => state.studies);
  const now = useClock(true, 30_000);
  const found = Object.values(studies).filter(({ id, generator }) => generator === "perturbation" && ATTACK.test(id));
  if (!found.length) return null;
  return (
    <section>
      <h2>Attacks</h2>
      <StudyTable rows={found} now={now} />
    </section>
  );
}

function GroupTable({ groups }: { groups: readonly Group[] }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Group</th>
            <th scope="col">State</th>
            <th scope="col" class="number">Studies</th>
            <th scope="col">Created</th>
            <th scope="col">Compare</th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={group.id}>
              <th scope="row">
                <a href={to(["group", group.id])}>{group.id}</a> <Labels labels={group.labels} />
              </th>
              <td>
                <State state={group.state} />
              </td>
              <td class="number">{group.members.length}</td>
              <td>{group.create_time ? dateTime(group.create_time) : ""}</td>
              <td>
                <a href={to(["compare"], { group: group.id })}>compare</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function GroupPage({ id }: { id: string }) {
  const group = useRead(() => calls.oneGroup(id), [id]);
  const studies = useStore((state) => state.studies);
  const now = useClock(true, 30_000);
  if (!group) {
    return (
      <div class="heading">
        <h1>{id}</h1>
      </div>
    );
  }
  const members = group.members.map((member) => latest(member, studies)).filter((study) => study !== null);
  return (
    <>
      <div class="heading">
        <h1>{id}</h1>
        <State state={group.state} />
        <Labels labels={group.labels} />
        <p class="soft">{plural(group.members.length, "study", "studies")}</p>
        {group.unfinished && <p class="warning">Note: {group.unfinished} goes on for some of its studies.</p>}
      </div>
      <p class="buttons">
        <a class="button" href={to(["compare"], { group: id })}>
          Compare its studies
        </a>
      </p>
      <StudyTable rows={members} now={now} />
    </>
  );
}

/** A member as the listing has it now. */
function latest(member: Member, studies: Readonly<Record<string, Summary>>): Summary | null {
  return member.study && (studies[member.study.id] ?? member.study);
}
