// Draws tables from the JSON in `data-table` of an element: one component for a table instead of one for each cell.
// Only textContent is set, so no text of a table can become markup.
(function () {
  "use strict";
  function cell(tag, text, className, scope, title) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (className) element.className = className;
    if (scope) element.setAttribute("scope", scope);
    if (title) element.title = title;
    return element;
  }
  function draw(host) {
    const source = host.getAttribute("data-table");
    if (!source || host.dataset.drawn === source) return;
    const model = JSON.parse(source);
    const table = document.createElement("table");
    table.className = model.className;
    const head = table.createTHead().insertRow();
    model.head.forEach((text, i) => head.appendChild(cell("th", text, model.numeric.includes(i) ? "num" : "", "col")));
    const body = table.createTBody();
    model.rows.forEach((row) => {
      const line = body.insertRow();
      row.forEach(([text, className], i) => {
        const isHead = i === 0 && model.rowHeads;
        line.appendChild(cell(isHead ? "th" : "td", text, className, isHead ? "row" : null, model.titles[className.split(" ").pop()]));
      });
    });
    host.replaceChildren(table);
    host.dataset.drawn = source;
  }
  function drawAll() { document.querySelectorAll("[data-table]").forEach(draw); }
  new MutationObserver(drawAll).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-table"] });
})();
