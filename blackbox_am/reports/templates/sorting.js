"use strict";
// Tables of the class "sortable" are sorted by a click, or by Enter or Space, on a heading.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  if (!body || body.rows.length < 2) continue;
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.value;
    return given === undefined ? cell.textContent.trim() : Number.parseFloat(given);
  };
  const compare = (a, b) => {
    if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
    return a - b;
  };
  headings.forEach((heading, column) => {
    const sort = () => {
      const down = heading.getAttribute("aria-sort") === "descending"
        || (heading.getAttribute("aria-sort") === null && !heading.classList.contains("number"));
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "ascending" : "descending");
      const rows = [...body.rows].map((row, place) => ({ row, place, key: key(row, column) }));
      rows.sort((a, b) => {
        const missing = Number.isNaN(a.key) - Number.isNaN(b.key);
        if (missing) return missing;
        if (Number.isNaN(a.key)) return a.place - b.place;
        const order = compare(a.key, b.key) || 0;
        return (down ? order : -order) || a.place - b.place;
      });
      body.append(...rows.map((entry) => entry.row));
    };
    heading.tabIndex = 0;
    heading.title = (heading.title ? heading.title + " " : "") + "Click to sort.";
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort();
    });
  });
}
