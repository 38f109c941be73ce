/* The page around the picture: filters, keys, pointer, table, address. State lives in `camera`, `chosen`, `filter`. */

const $ = (id) => document.getElementById(id);
const TABLE_ROW = 24;
const limits = { tall: 8e6 }; // browsers cannot make an element taller than about 17 million pixels
let waiting = false;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function resize() {
  const ratio = window.devicePixelRatio || 1, wanted = top_() + shownOps.rows.length * ROW + 26;
  canvas.style.height = `${Math.max(180, Math.min(wanted, Math.round(window.innerHeight * 0.66)))}px`;
  for (const one of [canvas, minimap]) {
    const box = one.getBoundingClientRect();
    one.width = Math.max(1, Math.round(one.clientWidth * ratio));
    one.height = Math.max(1, Math.round((one === canvas ? box.height - 2 : one.clientHeight) * ratio));
  }
  camera.width = canvas.clientWidth;
  camera.height = canvas.clientHeight;
  density = null;
  clampCamera();
  redraw();
}

/* Choosing */

function choose(n, { closer = false, quiet = false } = {}) {
  chosen.op = n;
  if (n < 0) {
    $("detail").replaceChildren();
    $("status").textContent = "";
  } else {
    reveal(n, closer);
    const said = describe(n, activeView()), list = document.createElement("dl");
    for (const [name, value] of [["index in the history", String(ops.index[n])], ...said]) {
      list.append(element("dt", name), element("dd", value));
    }
    $("detail").replaceChildren(list);
    $("status").textContent = said.map(([name, value]) => `${name}: ${value}`).join("; ");
    const place = shownOps.where[n];
    if (place >= 0) scrollTable(place);
  }
  if (!quiet) history.replaceState(null, "", n < 0 ? "#" : `#op=${ops.index[n]}`);
  fillTable();
  redraw();
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text; // never innerHTML: what a history holds is text
  if (className) made.className = className;
  return made;
}

function rowOf(n) { return shownOps.rows[placeOf(n)]; }

function alongRow(step) {
  if (!shownOps.list.length) return;
  if (chosen.op < 0 || shownOps.where[chosen.op] < 0) return choose(middleOp());
  const members = rowOf(chosen.op).members, here = members.indexOf(chosen.op);
  choose(members[Math.min(members.length - 1, Math.max(0, here + step))]);
}

function acrossRows(step) {
  if (!shownOps.list.length) return;
  if (chosen.op < 0 || shownOps.where[chosen.op] < 0) return choose(middleOp());
  const place = placeOf(chosen.op) + step;
  if (place < 0 || place >= shownOps.rows.length) return;
  const members = shownOps.rows[place].members, next = firstFrom(members, ops.call, ops.call[chosen.op]);
  const near = [members[next - 1], members[next]].filter((n) => n !== undefined);
  const far = (n) => Math.abs(ops.call[n] - ops.call[chosen.op]);
  choose(near.reduce((best, n) => (far(n) < far(best) ? n : best)));
}

function middleOp() {
  const list = shownOps.list, at = toTime(GUTTER + plotWidth() / 2);
  return list[Math.min(list.length - 1, firstFrom(list, ops.call, at))];
}

function alongOrder(step) {
  const order = activeView() && activeView().order;
  if (!order || chosen.op < 0 || order.place[chosen.op] < 0) return;
  const members = order.keys.get(ops.key[chosen.op]).members;
  choose(members[Math.min(members.length - 1, Math.max(0, order.place[chosen.op] + step))]);
}

function toError(step = 1) {
  const view = activeView();
  if (!view) return;
  const wrong = view.marked.length ? view.marked : view.order ? [...view.order.blocked].sort((a, b) => a - b) : [];
  if (!wrong.length) {
    $("status").textContent = `${view.name}: nothing is marked`;
    return;
  }
  const here = wrong.indexOf(chosen.op), next = wrong[(here + step + wrong.length) % wrong.length];
  if (shownOps.where[next] < 0) clearFilters();
  // The whole of what shows the error, so that the marked operation is seen beside what contradicts it.
  const whole = view.span && view.isMarked.has(next);
  if (whole) show(view.span[0], view.span[1]);
  choose(next, { closer: !whole });
}

function pickView(number) {
  if (number < 0 || number >= views.length) return;
  chosen.view = number;
  views.forEach((_, n) => {
    const tab = $(`tab${n}`), active = n === number;
    tab.setAttribute("aria-selected", String(active));
    tab.tabIndex = active ? 0 : -1;
    $(`panel${n}`).hidden = !active;
  });
  density = null;
  if (filter.part) refilter(); else choose(chosen.op, { quiet: true });
}

/* Filters */

function refilter() {
  filter.key = $("key-filter").value.trim();
  filter.client = $("client-filter").value.trim();
  filter.part = $("part-filter").checked;
  applyFilter(activeView());
  const all = shownOps.list.length === ops.count;
  const shown = shownOps.list.length.toLocaleString("en");
  $("table-count").textContent = all ? `(${shown})` : `(${shown} of ${ops.count.toLocaleString("en")})`;
  $("table").setAttribute("aria-rowcount", String(shownOps.list.length + 1));
  sizeTable();
  resize();
  fillTable();
}

function clearFilters() {
  $("key-filter").value = $("client-filter").value = "";
  $("part-filter").checked = false;
  refilter();
}

function offer(id, column) {
  const names = [...new Set(column)].slice(0, 1000).map((text) => texts[text]);
  $(id).replaceChildren(...names.filter(Boolean).map((name) => {
    const option = document.createElement("option");
    option.value = name;
    return option;
  }));
}

/* The table holds as many rows as fit, whatever the length of the history. */

const COLUMNS = ["index", "client", "key", "operation", `from (${unit[0]})`, `to (${unit[0]})`, "outcome", "value", "note"];

const tableView = () => Math.max(1, Math.floor(($("table").clientHeight - TABLE_ROW) / TABLE_ROW));
function sizeTable() {
  $("table-body").style.height = `${Math.min(limits.tall, shownOps.list.length * TABLE_ROW)}px`;
}

function firstOfTable() {
  const table = $("table"), count = shownOps.list.length;
  if (count * TABLE_ROW <= limits.tall) return Math.floor(table.scrollTop / TABLE_ROW);
  const most = limits.tall + TABLE_ROW - table.clientHeight;
  return Math.round(Math.min(1, table.scrollTop / most) * Math.max(0, count - tableView()));
}

function scrollTable(place) {
  const table = $("table"), first = firstOfTable(), fits = tableView(), count = shownOps.list.length;
  if (place >= first && place < first + fits) return;
  const wanted = place < first ? place : place - fits + 1;
  table.scrollTop = count * TABLE_ROW <= limits.tall ? wanted * TABLE_ROW
    : (wanted / Math.max(1, count - fits)) * (limits.tall + TABLE_ROW - table.clientHeight);
}

function fillTable() {
  const table = $("table"), body = $("table-body"), view = activeView(), order = view && view.order;
  const first = firstOfTable(), last = Math.min(shownOps.list.length, first + tableView() + 2);
  const direct = shownOps.list.length * TABLE_ROW <= limits.tall, rows = [];
  for (let place = first; place < last; place++) {
    const n = shownOps.list[place], row = document.createElement("div");
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", String(place + 2));
    row.setAttribute("aria-selected", String(n === chosen.op));
    row.id = `row${n}`;
    row.dataset.op = String(n);
    row.style.top = `${direct ? place * TABLE_ROW : table.scrollTop + (place - first) * TABLE_ROW}px`;
    const marked = view && view.isMarked.has(n);
    if (marked) row.className = "marked";
    const key = order && order.keys.get(ops.key[n]);
    const value = order && order.place[n] >= 0 ? `${texts[order.before[n]]} → ${texts[order.after[n]]}`
      : key && order.blocked.has(n) ? "no order explains it" : "";
    const cells = [ops.index[n], texts[ops.client[n]], keyText(n), (marked ? "✗ " : "") + texts[ops.label[n]],
      time(ops.call[n]), time(ops.end[n]), OUTCOMES[ops.outcome[n]], value, texts[ops.note[n]]];
    cells.forEach((text, column) => {
      const cell = element("div", String(text), column === 0 || column === 4 || column === 5 ? "number" : "");
      cell.setAttribute("role", "gridcell");
      row.append(cell);
    });
    rows.push(row);
  }
  body.replaceChildren(...rows);
  const here = chosen.op >= 0 && $(`row${chosen.op}`);
  if (here) table.setAttribute("aria-activedescendant", here.id); else table.removeAttribute("aria-activedescendant");
}

function alongTable(step) {
  const count = shownOps.list.length;
  if (!count) return;
  const here = chosen.op < 0 ? -1 : shownOps.where[chosen.op];
  const next = here < 0 && Number.isFinite(step) ? firstOfTable() : here + step;
  choose(shownOps.list[Math.min(count - 1, Math.max(0, next))]);
}

/* Keys: a table, from which the help is written too. */

const pan = (share) => { camera.from += share * plotWidth() * camera.perPixel; clampCamera(); redraw(); };
const zoomBy = (factor) => { zoom(factor); redraw(); };
const focusOn = (id) => { $(id).focus(); if ($(id).select) $(id).select(); };
const scrollRows = (step) => { camera.scroll += step; clampCamera(); redraw(); };
const KEYS = [
  [["ArrowLeft"], "operation before, in the same row", () => alongRow(-1), "canvas"],
  [["ArrowRight"], "operation after, in the same row", () => alongRow(1), "canvas"],
  [["ArrowUp"], "nearest operation in the row above", () => acrossRows(-1), "canvas"],
  [["ArrowDown"], "nearest operation in the row below", () => acrossRows(1), "canvas"],
  [["Shift+ArrowLeft"], "move to the left", () => pan(-0.2), "canvas"],
  [["Shift+ArrowRight"], "move to the right", () => pan(0.2), "canvas"],
  [["PageUp"], "rows above", () => scrollRows(-5 * ROW), "canvas"],
  [["PageDown"], "rows below", () => scrollRows(5 * ROW), "canvas"],
  [["Home"], "first operation", () => shownOps.list.length && choose(shownOps.list[0]), "canvas"],
  [["End"], "last operation", () => shownOps.list.length && choose(shownOps.list[shownOps.list.length - 1]), "canvas"],
  [["Enter"], "zoom to the chosen operation", () => choose(chosen.op < 0 ? middleOp() : chosen.op, { closer: true }),
    "canvas"],
  [["ArrowUp"], "row above (in the table)", () => alongTable(-1), "table"],
  [["ArrowDown"], "row below (in the table)", () => alongTable(1), "table"],
  [["PageUp"], "a page up (in the table)", () => alongTable(-tableView()), "table"],
  [["PageDown"], "a page down (in the table)", () => alongTable(tableView()), "table"],
  [["Home"], "first row (in the table)", () => alongTable(-Infinity), "table"],
  [["End"], "last row (in the table)", () => alongTable(Infinity), "table"],
  [["Enter"], "from the table to the timeline", () => { canvas.focus(); choose(chosen.op, { closer: true }); }, "table"],
  [["+", "="], "zoom in", () => zoomBy(0.6)],
  [["-"], "zoom out", () => zoomBy(1 / 0.6)],
  [["0"], "the whole history", () => { fit(); redraw(); }],
  [["e"], "next operation that shows the error", () => { canvas.focus(); toError(1); }],
  [["Shift+E"], "the one before", () => { canvas.focus(); toError(-1); }],
  [["n"], "next operation in the order of its key", () => alongOrder(1)],
  [["p"], "the one before in that order", () => alongOrder(-1)],
  [["v"], "next verdict", () => pickView((chosen.view + 1) % Math.max(1, views.length))],
  [["k"], "filter by key", () => focusOn("key-filter")],
  [["c"], "filter by client", () => focusOn("client-filter")],
  [["x"], "only what shows the error, or all", () => { $("part-filter").click(); }],
  [["g"], "to the timeline", () => canvas.focus()],
  [["t"], "to the table", () => $("table").focus()],
  [["d"], "dark or light", () => switchTheme()],
  [["?"], "this list", () => $("help").showModal()],
  [["Escape"], "take back: the choice, then the filters", () => (chosen.op >= 0 ? choose(-1) : clearFilters())],
];

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const typing = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
  if (typing && event.key !== "Escape") return;
  if (typing) event.target.blur();
  const place = event.target === canvas ? "canvas" : event.target === $("table") ? "table" : "";
  const name = (event.shiftKey && (event.key.startsWith("Arrow") || event.key === "E") ? "Shift+" : "") + event.key;
  const found = KEYS.find(([names, , , where]) => names.includes(name) && (!where || where === place));
  if (!found) return;
  event.preventDefault();
  found[2]();
}

function writeHelp() {
  const words = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
  for (const [names, said] of KEYS) {
    const row = document.createElement("tr"), keys = document.createElement("td");
    names.forEach((name) => {
      keys.append(element("kbd", name.replace(/Arrow\w+|Escape/, (word) => words[word] || word)), " ");
    });
    row.append(keys, element("td", said));
    $("help-keys").append(row);
  }
}

function switchTheme() {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
  readColours();
  redraw();
}

/* Pointer: drag to move, two fingers to zoom, click to choose, hover to see the state. */

const fingers = new Map();
let dragged = 0;

function spot(event, of = canvas) {
  const box = of.getBoundingClientRect();
  return [event.clientX - box.left - of.clientLeft, event.clientY - box.top - of.clientTop];
}

function onPointerMove(event) {
  const [x, y] = spot(event), before = fingers.get(event.pointerId);
  if (!before) return hover(x, y);
  if (fingers.size === 2) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const far = (one) => Math.max(8, Math.abs(one[0] - other[0]));
    zoom(far(before) / far([x, y]), (x + other[0]) / 2);
  } else {
    camera.from -= (x - before[0]) * camera.perPixel;
    camera.scroll -= y - before[1];
    clampCamera();
  }
  dragged += Math.abs(x - before[0]) + Math.abs(y - before[1]);
  fingers.set(event.pointerId, [x, y]);
  redraw();
}

function hover(x, y) {
  const n = operationAt(x, y), tip = $("tip");
  let said = "";
  if (n >= 0) said = describe(n, activeView()).map(([name, value]) => `${name}: ${value}`).join("\n");
  else if (x > GUTTER && y > top_() && filter.key) {
    const keys = matcher(ops.key, filter.key), key = keys && keys.size === 1 ? [...keys][0] : null;
    const state = key === null ? null : stateAt(activeView(), key, toTime(x));
    if (state !== null) said = `${time(toTime(x))} ${unit[0]}: ${texts[key]} holds ${state}`;
  }
  tip.hidden = !said;
  if (!said) return;
  tip.textContent = said;
  tip.style.left = `${Math.max(0, Math.min(x + 14, camera.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 16}px`;
}

function onWheel(event) {
  event.preventDefault();
  const steps = event.deltaY * (event.deltaMode === 1 ? 16 : 1), [x] = spot(event);
  if (event.shiftKey) camera.scroll += steps || event.deltaX;
  else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) camera.from += event.deltaX * camera.perPixel;
  else zoom(Math.exp(Math.max(-1, Math.min(1, steps / 300))), Math.max(x, GUTTER));
  clampCamera();
  redraw();
}

function onMinimap(event) {
  if (!event.buttons) return;
  const [x] = spot(event, minimap), at = span.from + (x / minimap.clientWidth) * (span.to - span.from);
  camera.from = at - plotWidth() * camera.perPixel / 2;
  clampCamera();
  redraw();
}

function onHash() {
  const wanted = /^#op=(\d+)$/.exec(location.hash);
  if (!wanted) return;
  const n = ops.index.indexOf(Number(wanted[1]));
  if (n < 0) {
    choose(-1, { quiet: true });
    $("status").textContent = `this history has no invocation with the index ${wanted[1]}`;
    return;
  }
  if (shownOps.where[n] < 0) clearFilters();
  choose(n, { closer: true, quiet: true });
}

function listen() {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, spot(event));
    dragged = 0;
    $("tip").hidden = true;
    canvas.classList.add("dragging");
  });
  canvas.addEventListener("pointermove", onPointerMove);
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (!fingers.delete(event.pointerId)) return;
      canvas.classList.remove("dragging");
      const [x, y] = spot(event), lane = Math.floor((y - AXIS) / LANE);
      if (name !== "pointerup" || dragged > 5) return;
      if (lane >= 0 && lane < views.length) pickView(lane); else choose(operationAt(x, y));
    });
  }
  canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  canvas.addEventListener("wheel", onWheel, { passive: false });
  for (const name of ["pointerdown", "pointermove"]) minimap.addEventListener(name, onMinimap);
  document.addEventListener("keydown", onKey);
  for (const id of ["key-filter", "client-filter"]) $(id).addEventListener("input", refilter);
  $("part-filter").addEventListener("change", refilter);
  $("clear").addEventListener("click", clearFilters);
  $("error-button").addEventListener("click", () => toError(1));
  $("zoom-in").addEventListener("click", () => zoomBy(0.6));
  $("zoom-out").addEventListener("click", () => zoomBy(1 / 0.6));
  $("fit").addEventListener("click", () => { fit(); redraw(); });
  $("theme").addEventListener("click", switchTheme);
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("table").addEventListener("scroll", fillTable);
  $("table-body").addEventListener("click", (event) => {
    const row = event.target.closest("[data-op]");
    if (row) choose(Number(row.dataset.op));
  });
  views.forEach((_, n) => $(`tab${n}`).addEventListener("click", () => pickView(n)));
  $("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    pickView((chosen.view + step + views.length) % views.length);
    $(`tab${chosen.view}`).focus();
  });
  window.addEventListener("resize", resize);
  window.addEventListener("hashchange", onHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });
}

readColours();
offer("key-list", allKeys());
offer("client-list", ops.client);
COLUMNS.forEach((name) => {
  const cell = element("div", name);
  cell.setAttribute("role", "columnheader");
  $("table-head").append(cell);
});
writeHelp();
if (Number(data.start) !== origin) {
  $("timeline-hint").append(` Times count from the first call, at ${data.start} ns of the history's clock.`);
}
listen();
refilter();
fit();
onHash();
$("error-button").disabled = !views.some((view) => view.marked.length || (view.order && view.order.blocked.size));
draw();
// For tests and for the curious: what was drawn, and how long it took.
window.dynalabViewer = { ops, views, camera, chosen, filter, measured, limits, refilter, draw, zoom, show, toX, rowY, placeOf, shown: () => shownOps };
