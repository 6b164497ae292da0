"use strict";
const THEMES = {
  light: { bg: "#ffffff", ink: "#1b1f24", dim: "#5a626b", grid: "#e6e7e3", muted: "#9aa0a6", c0: "#0072b2", c1: "#d55e00", c2: "#009e73", c3: "#cc79a7", c4: "#e69f00", c5: "#56b4e9",
    bad: [[0, "#f4efe4"], [0.5, "#f0b27a"], [1, "#8e1b1b"]], spread: [[0, "#eef2f7"], [0.5, "#7fa9cf"], [1, "#123b6b"]],
    signed: [[0, "#b3480b"], [0.5, "#f3f1ec"], [1, "#1f6aa8"]] },
  dark: { bg: "#14171b", ink: "#e8e6e1", dim: "#a3abb3", grid: "#2c3238", muted: "#7d858d", c0: "#4aa3df", c1: "#f0803c", c2: "#2fbf96", c3: "#dd92b8", c4: "#f0b429", c5: "#8fd0f5",
    bad: [[0, "#262b31"], [0.5, "#96573f"], [1, "#ff8a66"]], spread: [[0, "#262b31"], [0.5, "#4d7fb5"], [1, "#7cb8ff"]],
    signed: [[0, "#f0803c"], [0.5, "#262b31"], [1, "#4aa3df"]] },
};
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
const dark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
let data = null;

async function inflate(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const theme = () => THEMES[dark.matches && !printing ? "dark" : "light"];

/** Every "@name" of a specification as the theme's colour. */
function themed(value) {
  if (typeof value === "string") return value.startsWith("@") ? theme()[value.slice(1)] ?? value : value;
  if (Array.isArray(value)) return typeof value[0] === "number" || value[0] === null ? value : value.map(themed);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
  return value;
}

function layoutOf(layout) {
  const t = theme();
  const axis = { gridcolor: t.grid, zerolinecolor: t.grid, linecolor: t.grid, ticks: "", automargin: true };
  const font = { family: 'system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif', size: 12, color: t.ink };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font, margin: { l: 52, r: 8, t: 8, b: 42 }, hovermode: "closest",
    hoverlabel: { bgcolor: t.bg, bordercolor: t.muted, font: { color: t.ink } }, dragmode: false, ...layout,
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  };
}

function draw(div) {
  const { figure, panel } = div.dataset;
  const spec = data.figures[figure][Number(panel)];
  div.style.minHeight = `${spec.layout.height}px`;
  div.dataset.drawn = printing ? "print" : theme() === THEMES.dark ? "dark" : "light";
  const layout = layoutOf(spec.layout);
  if (printing) layout.width = printWidth(div);
  return Plotly.react(div, themed(spec.data), layout, CONFIG);
}

/** Width of a panel on paper, which is not laid out yet when it has to be drawn: A4 less its margins, in columns. */
function printWidth(div) {
  const columns = Number(getComputedStyle(div.closest(".panels")).getPropertyValue("--print"));
  return Math.floor((680 - 12 * (columns - 1)) / columns);
}

const plots = () => [...document.querySelectorAll(".plot")];

/** Draw what comes into sight, then the rest while nothing else happens. */
function schedule() {
  const waiting = new Set(plots());
  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      if (waiting.delete(target)) draw(target);
    }
  }, { rootMargin: "300px" });
  waiting.forEach((div) => watch.observe(div));
  const later = window.requestIdleCallback ?? ((f) => setTimeout(f, 50));
  const next = () => {
    const [div] = waiting;
    if (!div) { document.documentElement.dataset.drawn = "all"; return; }
    waiting.delete(div);
    watch.unobserve(div);
    draw(div);
    later(next);
  };
  later(next);
}

function redraw() {
  plots().forEach(draw);
}

const number = (value, digits = 2) => (value === null ? "diverged" : value.toFixed(digits));

function fill(table, head, rows) {
  const make = (tag, cells) => {
    const tr = document.createElement("tr");
    cells.forEach((cell, i) => {
      const td = document.createElement(tag);
      td.textContent = cell;
      if (i) td.className = "n";
      tr.append(td);
    });
    return tr;
  };
  table.tHead.replaceChildren(make("th", head));
  table.tBodies[0].replaceChildren(...rows.map((row) => make("td", row)));
}

/** The seeds of one configuration: strip, curves, table. */
function openSeeds(name) {
  const c = data.configs[name];
  const dialog = document.getElementById("seeds");
  document.getElementById("seeds-title").textContent = name;
  document.getElementById("seeds-said").textContent = c.said;
  dialog.showModal();
  const lost = Math.max(...c.never);
  const failed = (i) => c.accuracy[i] === null || c.accuracy[i] < data.limit;
  const strip = [true, false].map((bad) => {
    const own = c.seeds.map((_, i) => i).filter((i) => failed(i) === bad);
    return {
      type: "scatter", mode: "markers", name: bad ? "fails" : "works",
      x: own.map((i) => c.accuracy[i] ?? 0), y: own.map((i) => c.never[i] + 0.3 * ((((i + 1) * 0.618) % 1) - 0.5)),
      text: own.map((i) => `seed ${c.seeds[i]}: ${number(c.accuracy[i])} %, ${c.never[i]} classes lost`),
      hovertemplate: "%{text}<extra></extra>",
      marker: { size: 9, opacity: 0.8, color: bad ? "@c1" : "@c0", symbol: own.map((i) => (c.accuracy[i] === null ? "x" : bad ? "diamond" : "circle")) },
    };
  });
  const height = 250;
  Plotly.react("seeds-strip", themed(strip), layoutOf({
    height, showlegend: true, legend: { orientation: "h", y: 1.14, x: 0 },
    xaxis: { title: { text: "test accuracy, %" }, range: [-2, 101] },
    yaxis: { title: { text: "classes lost" }, range: [-0.6, Math.max(lost, 1) + 0.6], dtick: lost > 5 ? 2 : 1 },
  }), CONFIG);
  const times = c.curves[0].map((_, i) => i);
  const curves = c.curves.map((y, i) => ({
    type: "scatter", mode: "lines", x: times, y, opacity: 0.6, line: { width: 1.6, color: failed(i) ? "@c1" : "@c0" },
    name: `seed ${c.seeds[i]}`, hovertemplate: "%{fullData.name}: %{y:.2f} %<extra></extra>",
  }));
  Plotly.react("seeds-curves", themed(curves), layoutOf({
    height, showlegend: false, xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: "test accuracy, %" }, range: [0, 101] },
  }), CONFIG);
  fill(document.getElementById("seeds-table"),
    ["seed", "accuracy %", "classes lost", "dead outputs at start", "at end"],
    c.seeds.map((seed, i) => [seed, number(c.accuracy[i]), c.never[i], c.dead_start[i], c.dead_end[i]]));
}

const value = (text) => { const n = parseFloat(text.replace("−", "-")); return Number.isNaN(n) ? -Infinity : n; };

function sortable(table) {
  [...table.tHead.rows[0].cells].forEach((th, column) => {
    const button = document.createElement("button");
    button.textContent = th.textContent;
    th.replaceChildren(button);
    th.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const up = th.getAttribute("aria-sort") !== "ascending";
      [...table.tHead.rows[0].cells].forEach((other) => other.setAttribute("aria-sort", "none"));
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = (row) => row.cells[column].textContent;
      const by = column && !th.classList.contains("t") ? (a, b) => value(text(a)) - value(text(b)) : (a, b) => text(a).localeCompare(text(b));
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (up ? by(a, b) : by(b, a))));
    });
  });
}

function filterable(table) {
  const input = document.getElementById("filter"), only = document.getElementById("only"), count = document.getElementById("count");
  const failed = [...table.tHead.rows[0].cells].findIndex((th) => th.textContent.startsWith("runs failed"));
  const apply = () => {
    const words = input.value.toLowerCase().trim().split(/\s+/).filter(Boolean);
    const tests = words.map((w) => new RegExp(w.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*") + (w.startsWith("*") ? "$" : "")));
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].textContent.toLowerCase();
      row.hidden = !tests.every((t) => t.test(name)) || (only.checked && !value(row.cells[failed].textContent));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${table.tBodies[0].rows.length}`;
  };
  input.addEventListener("input", apply);
  only.addEventListener("change", apply);
  apply();
}

function wire() {
  document.querySelectorAll("input[name=view]").forEach((input) => input.addEventListener("change", () => {
    document.querySelectorAll(".view").forEach((view) => { view.hidden = view.dataset.view !== input.value; });
  }));
  const table = document.getElementById("configurations-table");
  if (table) { sortable(table); filterable(table); }
  document.addEventListener("click", (event) => {
    const config = event.target.closest("[data-config]");
    if (config && data && window.Plotly) openSeeds(config.dataset.config);
    const link = event.target.closest("[data-csv]");
    if (link && data?.files[link.dataset.csv] !== undefined) {
      link.href = URL.createObjectURL(new Blob([data.files[link.dataset.csv]], { type: "text/csv" }));
    }
    if (event.target.id === "seeds") event.target.close();
  });
}

async function start() {
  wire();
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  const [payload, library] = await Promise.all([inflate("payload"), inflate("plotly")]);
  data = JSON.parse(payload);
  const script = document.createElement("script");
  script.textContent = library;
  document.head.append(script);
  schedule();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
  dark.addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => { printing = true; redraw(); });
  window.addEventListener("afterprint", () => { printing = false; redraw(); });
}

start();
