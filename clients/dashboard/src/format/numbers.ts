/** Numbers as text. A missing number is a dash. */

export const DASH = "–";
export const MINUS = "\u2212";

const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

type Maybe = number | null | undefined;

function known(value: Maybe): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

function signed(text: string): string {
  return text.startsWith("-") ? MINUS + text.slice(1) : text;
}

/** Whole numbers with separators of thousands: 12,345. */
export function count(value: Maybe): string {
  return known(value) ? signed(COUNT.format(value)) : DASH;
}

/** A score with `digits` significant digits: 12.35, 0.001234, 1.2e−7, 1,234,567. */
export function score(value: Maybe, digits = 4): string {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 10 ** (digits - 1)) return size < 1e9 ? count(Math.round(value)) : exponent(value, digits);
  if (size < 1e-4) return exponent(value, digits);
  const whole = Math.floor(Math.log10(size)) + 1;
  return signed(value.toFixed(Math.max(0, Math.min(8, digits - whole))));
}

function exponent(value: number, digits: number): string {
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${signed(mantissa ?? "")}e${signed((power ?? "").replace("+", ""))}`;
}

/** A ratio such as 1.35×. */
export function ratio(value: Maybe): string {
  return known(value) ? `${score(value, 3)}×` : DASH;
}

/** A fraction as percent: 0.985 is 98.5 %. */
export function percent(value: Maybe): string {
  return known(value) ? `${score(value * 100, 3)} %` : DASH;
}

/** The cost of a study in the operator's currency; nothing is free where nothing has a price. */
export function cost(value: Maybe): string {
  if (!known(value) || value === 0) return DASH;
  return value >= 0.01 ? value.toLocaleString("en-US", DECIMALS) : score(value, 2);
}

const DECIMALS = { minimumFractionDigits: 2, maximumFractionDigits: 2 };

/** A mean and its standard error with the digits that the error supports: 1.23 ± 0.04. */
export function plusMinus(mean: Maybe, error: Maybe): string {
  if (!known(mean) || !known(error) || error === 0) return score(mean);
  const places = Math.max(0, Math.min(8, 1 - Math.floor(Math.log10(Math.abs(error)))));
  return `${signed(mean.toFixed(places))} ± ${error.toFixed(places)}`;
}

/** `3 targets`, `1 target`. */
export function plural(value: number, noun: string, many = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : many}`;
}

/** A shape such as 3 × 32 × 32. */
export function shape(sizes: readonly number[]): string {
  return sizes.length ? sizes.map((size) => count(size)).join(" × ") : DASH;
}
