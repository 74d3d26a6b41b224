/** Listings, which come in pages. */

/** The entries of all pages; `fetch` gives those of one page, and the token of the next. */
export async function pages<Entry>(
  fetch: (token: string) => Promise<[entries: Entry[], next: string]>,
): Promise<Entry[]> {
  const all: Entry[] = [];
  let token = "";
  do {
    const [entries, next] = await fetch(token);
    for (const entry of entries) all.push(entry);
    token = next;
  } while (token !== "");
  return all;
}
