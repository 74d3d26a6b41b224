/** The place in the page, kept in the fragment of its address: `#/study/ID?tab=log`. */

import { type Signal, signal } from "./signal";

export interface Route {
  path: readonly string[];
  query: URLSearchParams;
}

export function parsed(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    query: new URLSearchParams(query),
  };
}

/** A part of a path; as it stands where it is not encoded properly. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route: Signal<Route> = signal(parsed(location.hash));
addEventListener("hashchange", () => {
  route.value = parsed(location.hash);
});

export type Fields = Record<string, string | number | null | undefined>;

/** The address of a place. */
export function to(path: readonly string[], fields: Fields = {}): string {
  const pairs = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

export function go(path: readonly string[], fields: Fields = {}): void {
  location.hash = to(path, fields);
}

/** Changes fields of the query here, without a new entry in the browser's history. */
export function set(fields: Fields): void {
  const { path, query } = route.value;
  const next = { ...Object.fromEntries(query), ...fields };
  history.replaceState(null, "", to(path, next));
  route.value = parsed(location.hash);
}
