/** One oracle: its layers, their units, and what natural images and studies found for a unit. */

import { useState } from "preact/hooks";
import * as calls from "../api/calls";
import type { Layer, Oracle } from "../api/types";
import { count, plural, score, shape } from "../format/numbers";
import { Choice, Search } from "../parts/small";
import { Picture } from "../parts/picture";
import { Windowed } from "../parts/windowed";
import { useRead } from "../state/reading";
import { route, set } from "../state/route";
import { useSignal } from "../state/signal";
import { Gallery } from "./gallery";

const NATURALS = 9;

export function OraclePage({ name }: { name: string }) {
  const oracle = useRead(() => calls.oneOracle(name), [name]);
  const { query } = useSignal(route);
  if (!oracle) {
    return (
      <>
        <div class="heading">
          <h1>{name}</h1>
        </div>
        <p class="nothing">Reading the oracle…</p>
      </>
    );
  }
  const layers = oracle.layers ?? [];
  const layer = layers.find((one) => one.name === query.get("layer")) ?? layers.at(-1);
  const view = query.get("view") === "gallery" ? "gallery" : "units";
  return (
    <>
      <div class="heading">
        <h1>{name}</h1>
        <p class="soft">
          {oracle.kind}, stimulus {shape(oracle.stimulus_shape)}, {plural(layers.length, "layer")}
        </p>
      </div>
      {oracle.problem && <p class="bad">{oracle.problem}</p>}
      <div class="split browse">
        <Layers oracle={oracle} chosen={layer?.name ?? ""} />
        {layer && (
          <section class="panel">
            <div class="tools">
              <h2>{layer.name}</h2>
              <Choice
                label="View"
                value={view}
                options={[
                  ["units", "Units and natural images"],
                  ["gallery", "What studies found"],
                ]}
                onChange={(next) => set({ view: next })}
              />
            </div>
            {view === "units" ? (
              <Units key={layer.name} oracle={name} layer={layer} unit={query.get("unit")} />
            ) : (
              <Gallery key={layer.name} oracle={oracle} layer={layer} />
            )}
          </section>
        )}
      </div>
    </>
  );
}

function Layers({ oracle, chosen }: { oracle: Oracle; chosen: string }) {
  const [text, setText] = useState("");
  const found = (oracle.layers ?? []).filter((layer) => layer.name.includes(text.trim()));
  return (
    <section class="layers">
      <div class="tools">
        <h2>Layers</h2>
        <Search label="Filter layers" value={text} onChange={setText} />
      </div>
      <div class="scroll tall">
        <table>
          <thead>
            <tr>
              <th scope="col">Layer</th>
              <th scope="col">Kind</th>
              <th scope="col">Shape</th>
              <th scope="col" class="number">Units</th>
            </tr>
          </thead>
          <tbody>
            {found.map((layer) => (
              <tr key={layer.name} class={layer.name === chosen ? "marked" : ""}>
                <th scope="row">
                  <button type="button" class="link" aria-pressed={layer.name === chosen} onClick={() => set({ layer: layer.name, unit: null })}>
                    {layer.name || "output"}
                  </button>
                </th>
                <td>{layer.kind}</td>
                <td class="keep">{shape(layer.shape)}</td>
                <td class="number">{count(layer.units)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** All units of a layer, page by page as the server gives them. */
async function allUnits(oracle: string, layer: string): Promise<string[]> {
  const found: string[] = [];
  let token = "";
  do {
    const page = await calls.units(oracle, layer, token);
    found.push(...page.units);
    token = page.next_page_token;
  } while (token);
  return found;
}

function Units({ oracle, layer, unit }: { oracle: string; layer: Layer; unit: string | null }) {
  const units = useRead(() => allUnits(oracle, layer.name), [oracle, layer.name]);
  const [text, setText] = useState("");
  if (!units) return <p class="nothing">Reading the units…</p>;
  const named = units.map((address, place) => ({ address, name: layer.labels?.[place] ?? "" }));
  const found = named.filter(({ address, name }) => `${address} ${name}`.toLowerCase().includes(text.trim().toLowerCase()));
  const chosen = unit && units.includes(unit) ? unit : (found[0]?.address ?? null);
  return (
    <>
      {chosen && <Naturals oracle={oracle} unit={chosen} name={named.find(({ address }) => address === chosen)?.name ?? ""} />}
      <div class="tools">
        <h3>{plural(units.length, "unit")}</h3>
        {units.length > 12 && <Search label="Filter units" value={text} onChange={setText} />}
      </div>
      <Windowed
        items={found}
        tileWidth={layer.labels?.length ? 150 : 64}
        tileHeight={34}
        label="Units"
        keyOf={({ address }) => address}
        render={({ address, name }) => (
          <button type="button" class="unit" aria-pressed={address === chosen} title={address} onClick={() => set({ unit: address })}>
            {address.slice(address.lastIndexOf(":") + 1)} <span class="soft">{name}</span>
          </button>
        )}
      />
    </>
  );
}

function Naturals({ oracle, unit, name }: { oracle: string; unit: string; name: string }) {
  const found = useRead(() => calls.naturals(oracle, unit, NATURALS), [oracle, unit]);
  return (
    <div class="naturals">
      <h3>
        {unit} {name && <span class="soft">{name}</span>}
      </h3>
      {!found && <p class="nothing">The oracle looks at the natural images…</p>}
      {found && !found.images.length && <p class="nothing">{found.message || "There are no natural images of its shape."}</p>}
      <div class="strip">
        {found?.images.map((image) => (
          <figure key={image.rank}>
            <Picture src={relative(image.png)} alt={`Natural image of rank ${image.rank} for ${unit}`} size={96} eager />
            <figcaption class="number">{score(image.activation)}</figcaption>
          </figure>
        ))}
      </div>
    </div>
  );
}

/** Addresses of the gateway as the page asks for them: relative, so that a proxy may add a path. */
function relative(url: string): string {
  return url.replace(/^\/+/, "");
}
