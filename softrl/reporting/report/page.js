"use strict";
// Tables: a click on a heading sorts, a second one turns the order around. Without scripts everything is still there.
for (const table of document.querySelectorAll(".table table")) {
  const body = table.tBodies[0];
  const more = table.parentElement.querySelector(".more");
  let limit = Number(table.dataset.limit || 0);
  if (limit && matchMedia("(max-width: 700px)").matches) limit = Math.min(limit, 8);
  const trim = () => {
    [...body.rows].forEach((row, index) => { row.hidden = limit > 0 && index >= limit; });
    if (more) more.hidden = limit === 0;
  };
  const value = (row, column) => {
    const key = row.cells[column].dataset.key;
    return key === "" || Number.isNaN(Number(key)) ? key : Number(key);
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), "en", { numeric: true });
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      // Numbers begin with the largest, as a score is read; words with the first letter.
      const orders = ["ascending", "descending"];
      if (heading.classList.contains("number")) orders.reverse();
      const order = heading.getAttribute("aria-sort") === orders[0] ? orders[1] : orders[0];
      for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort(([one], [other]) => {
        if ((one === "") !== (other === "")) return one === "" ? 1 : -1;
        return order === "ascending" ? compare(one, other) : compare(other, one);
      });
      body.append(...rows.map(([, row]) => row));
      trim();
    });
  });
  more?.addEventListener("click", () => { limit = 0; trim(); });
  trim();
}
// Legends: point at a setting, or press it, to see its line alone.
for (const chart of document.querySelectorAll("section")) {
  const buttons = [...chart.querySelectorAll(".legend button")];
  if (!buttons.length) continue;
  let pinned = null;
  const show = (series) => {
    chart.classList.toggle("focused", series !== null);
    for (const line of chart.querySelectorAll(".series")) line.classList.toggle("on", line.dataset.series === series);
  };
  for (const button of buttons) {
    button.addEventListener("pointerenter", () => show(button.dataset.series));
    button.addEventListener("pointerleave", () => show(pinned));
    button.addEventListener("click", () => {
      pinned = pinned === button.dataset.series ? null : button.dataset.series;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other.dataset.series === pinned));
      show(pinned);
    });
  }
}
