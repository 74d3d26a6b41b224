/** The best stimuli of methods side by side, a row for each target. */

import * as calls from "../../api/calls";
import { score } from "../../format/numbers";
import { Picture, square } from "../../parts/picture";
import { Stimulus } from "../../parts/stimulus";
import { Windowed } from "../../parts/windowed";
import { to } from "../../state/route";
import { bestRun, type Method, type Naturals } from "./methods";

const SIZE = 104;

interface PicturesProps {
  methods: readonly Method[];
  titles: readonly string[];
  naturals: Naturals;
}

export function Pictures({ methods, titles, naturals }: PicturesProps) {
  return (
    <section>
      <h2>Best stimuli</h2>
      <div class="scroll">
        <Windowed
          items={titles}
          columns={1}
          tileWidth={SIZE}
          tileHeight={SIZE + 46}
          label="Targets"
          keyOf={(title) => title}
          render={(title) => <Row title={title} methods={methods} naturals={naturals} />}
        />
      </div>
    </section>
  );
}

function Row({ title, methods, naturals }: { title: string; methods: readonly Method[]; naturals: Naturals }) {
  const found = methods.map((method) => bestRun(method, title));
  const scores = found.map((one) => one?.target.best_score ?? Number.NEGATIVE_INFINITY);
  const most = Math.max(...scores);
  const natural = naturals.get(title);
  return (
    <div class="side-by-side">
      <h3>{title}</h3>
      {natural && (
        <figure>
          <Picture src={calls.naturalPicture(natural.study.id, natural.target.target, 128)} alt={`Best natural image for ${title}`} size={SIZE} />
          <figcaption>
            <span class="title">best natural</span>
            <strong>{score(natural.target.natural?.maximum)}</strong>
          </figcaption>
        </figure>
      )}
      {methods.map((method, place) => {
        const one = found[place];
        return (
          <figure key={method.key}>
            {one ? (
              <a href={to(["study", one.study.id], { t: one.target.target })} title={one.study.id}>
                <Stimulus study={one.study.id} target={one.target.target} title={title} kind={one.study.stimulus_kind} best={one.target.best_score} size={SIZE} />
              </a>
            ) : (
              <div class="picture empty" style={square(SIZE)} />
            )}
            <figcaption title={method.name}>
              <span class="title">{method.name}</span>
              <strong>{score(one?.target.best_score)}</strong>
              {scores[place] === most && methods.length > 1 && <span title="highest"> ▲</span>}
            </figcaption>
          </figure>
        );
      })}
    </div>
  );
}
