// Draws markup from the JSON in `data-tree` and tables from that in `data-table`: one component for the renderer instead
// of one for each element. Only textContent is set and tags and attributes are listed here, so no text can become markup.
(function () {
  "use strict";
  const TAGS = ["a", "b", "br", "code", "details", "div", "h2", "li", "ol", "p", "small", "span", "summary", "ul"];
  const ATTRIBUTES = ["class", "id", "title", "download", "data-table", "tabindex"];
  function build(node) {
    if (!Array.isArray(node)) return document.createTextNode(node);
    const [tag, attributes, children] = node;
    const element = document.createElement(TAGS.includes(tag) ? tag : "span");
    for (const [name, value] of Object.entries(attributes)) {
      if (ATTRIBUTES.includes(name) || name.startsWith("aria-")) element.setAttribute(name, value);
      if (name === "href" && /^\/(?![/\\])/.test(value)) element.setAttribute("href", value);
    }
    element.append(...children.map(build));
    return element;
  }
  function cell(tag, content, className, scope, title) {
    const element = document.createElement(tag);
    element.append(build(content));
    if (className) element.className = className;
    if (scope) element.setAttribute("scope", scope);
    if (title) element.title = title;
    return element;
  }
  function table(model) {
    const made = document.createElement("table");
    made.className = model.className;
    const head = made.createTHead().insertRow();
    model.head.forEach((text, i) => head.appendChild(cell("th", text, model.numeric.includes(i) ? "num" : "", "col")));
    const body = made.createTBody();
    model.rows.forEach((row) => {
      const line = body.insertRow();
      row.forEach(([content, className], i) => {
        const isHead = i === 0 && model.rowHeads;
        line.appendChild(cell(isHead ? "th" : "td", content, className, isHead ? "row" : null, model.titles[className.split(" ").pop()]));
      });
    });
    return [made];
  }
  const drawers = { "data-tree": (nodes) => nodes.map(build), "data-table": table };
  const drawn = new WeakMap();
  function drawAll() {
    for (const [name, draw] of Object.entries(drawers)) {
      document.querySelectorAll(`[${name}]`).forEach((host) => {
        const source = host.getAttribute(name);
        if (!source || drawn.get(host) === source) return;
        drawn.set(host, source);
        host.replaceChildren(...draw(JSON.parse(source)));
      });
    }
  }
  new MutationObserver(drawAll).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: Object.keys(drawers) });
  // Charts are drawn once at their width; they follow the window here, not one observer for each.
  let waiting = null;
  function fit() { document.querySelectorAll(".js-plotly-plot").forEach((plot) => window.Plotly.Plots.resize(plot)); }
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(fit, 150); });
})();
