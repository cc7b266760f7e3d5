"use strict";
// Sorts a table by the column whose button is pressed, numbers before dashes; a second time the other way round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const place = head.cellIndex;
    const upward = head.getAttribute("aria-sort") === "descending" || (place === 0 && !head.hasAttribute("aria-sort"));
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", upward ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const value = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const apart = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return upward ? apart : -apart;
    };
    body.append(...[...body.rows].sort(order));
  });
}
// Shows the rows and runs that hold every word of the filter.
const filter = document.getElementById("filter");
const shown = document.getElementById("shown");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const part of document.querySelectorAll("[data-words]")) {
    part.hidden = !words.every((word) => part.dataset.words.toLowerCase().includes(word));
    left += !part.hidden;
  }
  shown.textContent = words.length ? `${left} rows and runs` : "";
});
// What a link leads to is opened, and all is opened for print.
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();
for (const link of document.querySelectorAll("[popover] a[href^='#']")) {
  link.addEventListener("click", () => link.closest("[popover]").hidePopover());
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
