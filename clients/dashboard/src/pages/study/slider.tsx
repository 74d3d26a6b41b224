/** Goes back through the generations of a study. */

import type { Study } from "../../api/types";
import { count } from "../../format/numbers";

interface SliderProps {
  study: Study;
  generation: number | null;
  onChange: (generation: number | null) => void;
}

export function Slider({ study, generation, onChange }: SliderProps) {
  const last = Math.max(0, study.generation - 1);
  return (
    <div class="slider">
      <label>
        <span>Best after generation</span>
        <input
          type="range"
          min={0}
          max={last}
          value={generation ?? last}
          onInput={(event) => {
            const value = event.currentTarget.valueAsNumber;
            onChange(value >= last ? null : value);
          }}
        />
      </label>
      <output>{count(generation ?? last)}</output>
      <button type="button" aria-pressed={generation === null} onClick={() => onChange(null)} title="Back to the live state (l)">
        Latest
      </button>
    </div>
  );
}
