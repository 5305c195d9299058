"use strict";
// Tables sort by a click on a heading; a second click turns the order round. Cells without a value stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (!heading.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const turn = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
      const compare = heading.dataset.sort === "number" ? (a, b) => a - b : (a, b) => a.localeCompare(b);
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const left = value(a), right = value(b);
        if (left === "" || right === "") return (left === "") - (right === "");
        return turn * compare(left, right);
      });
      table.tBodies[0].append(...rows);
    });
  });
}
// Paper cannot be unfolded: short folded parts are opened for printing.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) {
    if (part.querySelectorAll("tr").length <= 60) part.open = true;
  }
});
