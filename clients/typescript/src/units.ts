/** Addresses of the units of a served oracle. */

import { UnknownUnit } from "./errors.js";

/** A layer of an oracle with its units, `name:0` to `name:UNITS-1`. */
export interface OracleLayer {
  readonly name: string;
  readonly units: number;
  /** `scores` without it: the model's own output. */
  readonly kind?: string;
  /** Names of the units, where they have any. */
  readonly labels?: readonly string[];
}

/** A unit that a caller asks for. */
export interface OracleUnit {
  readonly layer: string;
  readonly index: number;
}

/** The units of addresses `layer:index`. Throws UnknownUnit, with the place of the address. */
export function unitsOf(
  layers: readonly OracleLayer[],
  addresses: readonly string[],
): OracleUnit[] {
  return addresses.map((address, place) => {
    const unit = parsed(address);
    const layer = layers.find((one) => one.name === unit?.layer);
    if (!unit || !layer || unit.index >= layer.units) {
      const known = layers.map(({ name, units }) => `${name}:0 to ${name}:${units - 1}`).join(", ");
      throw new UnknownUnit(`the oracle has no unit ${JSON.stringify(address)}; it has ${known}`, {
        field: `units[${place}]`,
      });
    }
    return unit;
  });
}

function parsed(address: string): OracleUnit | undefined {
  const match = /^(.+):(\d{1,10})$/s.exec(address);
  return match ? { layer: unquoted(match[1]!), index: Number(match[2]) } : undefined;
}

/** The name of a layer, without the quotes and backslashes that special characters need. */
function unquoted(name: string): string {
  const quoted = /^"(.*)"$/s.exec(name)?.[1];
  return quoted === undefined ? name : quoted.replace(/\\(["\\])/g, "$1");
}
