/* Drawing. Only what is visible is drawn: per row a binary search by time, and where many operations share a pixel the
   first of them stands for all. `camera` is the whole state of the picture; nothing here listens to anything. */

const ROW = 26, BOX = 18, GUTTER = window.innerWidth < 700 ? 108 : 164, LANE = 18, AXIS = 22, CHARACTER = 6.7;
const canvas = document.getElementById("timeline"), minimap = document.getElementById("minimap");
const paint = canvas.getContext("2d"), small = minimap.getContext("2d");
const camera = { from: 0, perPixel: 1, scroll: 0, width: 800, height: 420 };
const chosen = { op: -1, view: Math.min(data.active || 0, Math.max(0, views.length - 1)), pointer: null };
const measured = { boxes: 0, milliseconds: 0 };
let colours = {}, density = null;

const activeView = () => views[chosen.view] || null;
const plotWidth = () => Math.max(50, camera.width - GUTTER);
const toX = (ns) => GUTTER + (ns - camera.from) / camera.perPixel;
const toTime = (x) => camera.from + (x - GUTTER) * camera.perPixel;
const top_ = () => AXIS + LANE * views.length + (data.bands.length ? 16 : 0);
const rowY = (place) => top_() + place * ROW - camera.scroll;
const placeOf = (n) => shownOps.placeOfRow.get(ops.row[n]);

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "ink", "dim", "line", "raised", "focus", "read", "read-ink", "write", "write-ink", "bad",
    "bad-fill", "other", "band", "band-ink", "valid", "unknown", "invalid", "prefix"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  density = null;
}

function clampCamera() {
  const whole = (span.to - span.from) * 1.25 / plotWidth();
  camera.perPixel = Math.min(Math.max(camera.perPixel, 0.02), Math.max(whole, 0.02));
  const width = plotWidth() * camera.perPixel, slack = Math.min(width * 0.5, (span.to - span.from) * 0.12);
  camera.from = Math.min(Math.max(camera.from, span.from - slack), Math.max(span.from - slack, span.to + slack - width));
  const rows = shownOps.rows.length * ROW + 8;
  camera.scroll = Math.min(Math.max(camera.scroll, 0), Math.max(0, rows - (camera.height - top_())));
}

function show(from, to, share = 0.1) {
  const margin = Math.max((to - from) * share, 2);
  camera.perPixel = (to - from + 2 * margin) / plotWidth();
  camera.from = from - margin;
  clampCamera();
}

const fit = () => show(span.from, span.to, 0.02);

function zoom(factor, x = GUTTER + plotWidth() / 2) {
  const still = toTime(x);
  camera.perPixel *= factor;
  clampCamera();
  camera.from = still - (x - GUTTER) * camera.perPixel;
  clampCamera();
}

function reveal(n, closer) {
  const length = Math.max(ops.shown[n] - ops.call[n], 1);
  if (closer) camera.perPixel = Math.max(length / 90, 0.02);
  const middle = Math.min(ops.call[n] + length / 2, ops.call[n] + plotWidth() * camera.perPixel * 0.4);
  const x = toX(middle);
  if (closer || x < GUTTER + 40 || x > camera.width - 40) camera.from = middle - plotWidth() * camera.perPixel / 2;
  const place = placeOf(n);
  if (place !== undefined) {
    if (rowY(place) < top_()) camera.scroll = place * ROW;
    if (rowY(place) + ROW > camera.height) camera.scroll = place * ROW - (camera.height - top_()) + ROW + 4;
  }
  clampCamera();
}

/* The operation at a point of the canvas, -1 if there is none; three pixels beside it will do. */
function operationAt(x, y) {
  const place = Math.floor((y - top_() + camera.scroll) / ROW);
  if (x < GUTTER || y < top_() || place < 0 || place >= shownOps.rows.length) return -1;
  const members = shownOps.rows[place].members, at = toTime(x), near = 3 * camera.perPixel;
  const first = firstFrom(members, ops.shown, at - near);
  if (first < members.length && ops.call[members[first]] <= at + near) {
    const next = members[first + 1];
    return next !== undefined && ops.call[next] <= at && ops.shown[members[first]] < at ? next : members[first];
  }
  const before = first ? members[first - 1] : -1;
  return before >= 0 && ops.end[before] === Infinity ? before : -1;
}

/* Boxes are collected by style first and painted style by style: changing colours is what costs. */
function collect(view) {
  const styles = new Map(), labels = [], points = [], tails = [];
  const order = view && view.order, right = camera.width, lastTime = toTime(right);
  measured.boxes = 0;
  const firstRow = Math.max(0, Math.floor(camera.scroll / ROW));
  for (let place = firstRow; place < shownOps.rows.length; place++) {
    const y = rowY(place) + (ROW - BOX) / 2, members = shownOps.rows[place].members;
    if (y > camera.height) break;
    let i = firstFrom(members, ops.shown, camera.from);
    if (i > 0 && ops.end[members[i - 1]] === Infinity) i--;
    // Where a row holds more than an operation every third pixel, one of them stands for three pixels.
    const crowd = (firstFrom(members, ops.call, lastTime, i) - i) / plotWidth(), step = crowd > 0.3 ? 3 : 1;
    let run = null, runStyle = "", runEnd = -1;
    while (i < members.length) {
      const n = members[i];
      if (ops.call[n] > lastTime) break;
      const x0 = Math.max(toX(ops.call[n]), GUTTER - 4), x1 = Math.min(toX(ops.shown[n]), right + 4);
      const wide = x1 - x0, open = ops.end[n] === Infinity;
      const pale = order && order.keys.has(ops.key[n]) && order.place[n] < 0;
      const style = (ops.isRead[n] ? "r" : "w") + (ops.outcome[n] === FAIL ? "f" : pale ? "p" : "o") + (open ? "i" : "");
      if (open) {
        const next = i + 1 < members.length ? Math.min(toX(ops.call[members[i + 1]]), right) : right;
        if (next - x1 > 2) tails.push(Math.max(x1, GUTTER), Math.min(next - 1, Math.max(x1, GUTTER) + 4000), y);
      }
      if ((wide < 2 || (step > 1 && wide < 6)) && !open) {
        // Shorter than two pixels: neighbours of one style run together, and what shares the pixel is passed over.
        const end = step > 1 ? Math.floor(x0) + Math.max(step, Math.ceil(wide)) : x0 + Math.max(wide, 1.5);
        if (run && runStyle === style && x0 <= runEnd + 1) run[2] = runEnd = Math.max(runEnd, end);
        else {
          run = [step > 1 ? Math.floor(x0) : x0, y, runEnd = end, step];
          runStyle = style;
          push(styles, style, run);
        }
        i = Math.max(i + 1, firstFrom(members, ops.shown, toTime(x0 + step), i + 1));
        continue;
      }
      push(styles, style, [x0, y, Math.max(x1, x0 + 2)]);
      if (wide > 20) labels.push(n, Math.max(x0, GUTTER) + 4, y, x1 - Math.max(x0, GUTTER) - 6);
      if (wide > 5 && order && order.place[n] >= 0) points.push(toX(order.at[n]), y);
      i++;
    }
  }
  return { styles, labels, points, tails };
}

function push(styles, style, box) {
  const list = styles.get(style);
  if (list) list.push(box); else styles.set(style, [box]);
  measured.boxes++;
}

function draw() {
  const begun = performance.now(), view = activeView(), ratio = window.devicePixelRatio || 1;
  paint.setTransform(ratio, 0, 0, ratio, 0, 0);
  paint.fillStyle = colours.ground;
  paint.fillRect(0, 0, camera.width, camera.height);
  paint.save();
  paint.beginPath();
  paint.rect(GUTTER, 0, camera.width - GUTTER, camera.height);
  paint.clip();
  drawBands();
  drawAxis();
  paint.beginPath();
  paint.rect(GUTTER, top_(), camera.width - GUTTER, camera.height - top_());
  paint.clip();
  drawPrefixes(view);
  drawBoxes(collect(view));
  drawMarks(view);
  drawPath(view);
  if (chosen.op >= 0 && placeOf(chosen.op) !== undefined) outline(chosen.op, colours.focus, 3, 3);
  paint.restore();
  drawNames();
  drawLanes();
  drawMinimap();
  measured.milliseconds = performance.now() - begun;
}

function drawBoxes({ styles, labels, points, tails }) {
  for (const [style, boxes] of styles) {
    const name = style[0] === "r" ? "read" : "write";
    paint.fillStyle = colours[name];
    paint.strokeStyle = colours[`${name}-ink`];
    paint.globalAlpha = style[1] === "p" ? 0.4 : 1;
    if (style[1] !== "f") for (const [x0, y, x1] of boxes) paint.fillRect(x0, y, x1 - x0, BOX);
    paint.globalAlpha = style[1] === "f" ? 0.6 : 1;
    paint.setLineDash(style.endsWith("i") ? [4, 3] : []);
    paint.lineWidth = 1;
    for (const [x0, y, x1, step] of boxes) {
      if (step > 1 && style[1] !== "f") continue; // outlines of a crowd would be all that is seen
      if (x1 - x0 > 7) paint.strokeRect(x0 + 0.5, y + 0.5, x1 - x0 - 1, BOX - 1);
      else if (style[1] === "f") paint.strokeRect(x0, y + 0.5, Math.max(0.5, x1 - x0 - 1), BOX - 1);
    }
  }
  paint.setLineDash([2, 4]);
  paint.globalAlpha = 0.55;
  paint.strokeStyle = colours.ink;
  paint.beginPath();
  for (let i = 0; i < tails.length; i += 3) {
    paint.moveTo(tails[i], tails[i + 2] + BOX / 2);
    paint.lineTo(tails[i + 1], tails[i + 2] + BOX / 2);
  }
  paint.stroke();
  paint.setLineDash([]);
  paint.globalAlpha = 1;
  for (let i = 0; i < labels.length; i += 4) {
    writeLabel(labels[i], labels[i + 1], labels[i + 2], Math.floor(labels[i + 3] / CHARACTER));
  }
  paint.strokeStyle = colours.ink;
  paint.lineWidth = 1.4;
  paint.beginPath();
  for (let i = 0; i < points.length; i += 2) {
    paint.moveTo(points[i], points[i + 1]);
    paint.lineTo(points[i], points[i + 1] + BOX);
  }
  paint.stroke();
  for (let i = 0; i < points.length; i += 2) paint.fillRect(points[i] - 2, points[i + 1] - 3, 4, 4);
}

/* What was done, with the key before it where several keys are shown and there is room for both. */
function writeLabel(n, x, y, room) {
  const plain = texts[ops.label[n]], keyed = shownOps.keys > 1 ? `${texts[ops.key[n]]} ${plain}` : plain;
  const text = keyed.length <= room ? keyed : plain;
  const fitting = text.length <= room ? text : room < 3 ? "" : `${text.slice(0, room - 1)}…`;
  if (!fitting) return;
  paint.fillStyle = colours.ink;
  paint.font = "11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";
  paint.textBaseline = "middle";
  paint.fillText(fitting, x, y + BOX / 2 + 0.5);
}

function outline(n, colour, width, grow, fill) {
  const y = rowY(placeOf(n)) + (ROW - BOX) / 2;
  const x0 = toX(ops.call[n]), x1 = Math.max(toX(ops.shown[n]), x0 + 3);
  if (x1 < GUTTER - 9 || x0 > camera.width + 9 || y > camera.height || y < 0) return;
  const left = Math.max(x0, GUTTER - 9), wide = Math.min(x1, camera.width + 9) - left;
  if (fill) {
    paint.fillStyle = fill;
    paint.fillRect(left, y, wide, BOX);
    writeLabel(n, Math.max(left, GUTTER) + 4, y, Math.floor((wide - 6) / CHARACTER));
  }
  paint.lineWidth = width;
  paint.strokeStyle = colour;
  paint.strokeRect(left - grow, y - grow, wide + 2 * grow, BOX + 2 * grow);
}

function drawMarks(view) {
  views.forEach((other) => {
    if (other === view) return;
    paint.fillStyle = colours.other;
    for (const n of other.marked) {
      if (placeOf(n) === undefined || shownOps.where[n] < 0) continue;
      const x = toX(ops.call[n]), wide = Math.max(toX(ops.shown[n]) - x, 3);
      paint.fillRect(x, rowY(placeOf(n)) + ROW - 5, wide, 3);
    }
  });
  if (!view) return;
  const visible = (n) => shownOps.where[n] >= 0;
  for (const n of view.part) if (visible(n) && !view.isMarked.has(n)) outline(n, colours.bad, 1.5, 0);
  if (view.order) {
    paint.setLineDash([5, 3]);
    for (const n of view.order.blocked) if (visible(n) && !view.isMarked.has(n)) outline(n, colours.bad, 2, 1);
    paint.setLineDash([]);
  }
  for (const n of view.marked) if (visible(n)) outline(n, colours.bad, 3, 1, colours["bad-fill"]);
}

/* Where the largest linearizable prefix of a key ends; of many keys only those that the filter lets through. */
function drawPrefixes(view) {
  if (!view || !view.order) return;
  const keys = filter.key ? matcher(ops.key, filter.key) : null;
  const open = [...view.order.keys.values()]
    .filter((one) => !one.complete && one.until !== null && (!keys || keys.has(one.key)));
  if (open.length > 24) return;
  paint.font = "12px system-ui,sans-serif";
  for (const one of open) {
    const x = toX(one.until);
    if (x < GUTTER - 400 || x > camera.width) continue;
    paint.fillStyle = colours.prefix;
    paint.fillRect(x - 5, top_(), 5, camera.height);
    paint.fillStyle = colours.valid;
    paint.fillRect(x - 1, top_(), 2, camera.height);
    paint.textBaseline = "bottom";
    const said = `${texts[one.key]}: linearizable up to here${one.exact ? "" : " at least"}`;
    const room = paint.measureText(said).width + 8 < x - GUTTER;
    paint.textAlign = room ? "right" : "left";
    paint.fillText(said, room ? x - 8 : x + 5, camera.height - 4);
    paint.textAlign = "left";
  }
}

/* The order of the chosen operation's key, as a line from moment to moment. */
function drawPath(view) {
  const key = chosen.op >= 0 && view && view.order && view.order.keys.get(ops.key[chosen.op]);
  if (!key || view.order.place[chosen.op] < 0) return;
  const begin = Math.max(0, firstAbove(key.at, camera.from) - 2);
  const end = Math.min(key.members.length, firstAbove(key.at, toTime(camera.width)) + 2);
  if (end - begin > 400) return;
  paint.strokeStyle = colours.focus;
  paint.lineWidth = 1.5;
  paint.beginPath();
  for (let i = begin; i < end; i++) {
    const place = placeOf(key.members[i]);
    if (place !== undefined) paint.lineTo(toX(key.at[i]), rowY(place) + ROW / 2);
  }
  paint.stroke();
}

function drawBands() {
  paint.font = "12px system-ui,sans-serif";
  paint.textBaseline = "middle";
  const labelled = data.bands.length <= 200;
  let free = -Infinity;
  for (const [from, to, name] of data.bands) {
    const x = Math.max(toX(from), GUTTER), right = to === null ? camera.width : Math.min(toX(to), camera.width);
    if (right < GUTTER || x > camera.width) continue;
    const y = AXIS + LANE * views.length;
    paint.fillStyle = colours.band;
    paint.fillRect(x, y, Math.max(right - x, 1.5), camera.height - y);
    if (labelled && x > free) {
      paint.fillStyle = colours["band-ink"];
      paint.fillText(name, x + 3, y + 8);
      free = x + paint.measureText(name).width + 8;
    }
  }
}

function drawAxis() {
  const rough = camera.perPixel * 110;
  let step = 10 ** Math.ceil(Math.log10(rough));
  if (step / 5 >= rough) step /= 5; else if (step / 2 >= rough) step /= 2;
  const digits = Math.ceil(Math.log10(unit[1] / step) - 1e-9);
  paint.font = "12px system-ui,sans-serif";
  paint.textBaseline = "middle";
  paint.textAlign = "center";
  for (let at = Math.ceil((camera.from + origin) / step) * step - origin; toX(at) < camera.width; at += step) {
    paint.fillStyle = colours.line;
    paint.fillRect(Math.round(toX(at)), AXIS - 4, 1, camera.height);
    paint.fillStyle = colours.dim;
    paint.fillText(`${time(at, Math.min(digits, 9))} ${unit[0]}`, toX(at), AXIS / 2);
  }
  paint.textAlign = "left";
}

function drawNames() {
  paint.fillStyle = colours.ground;
  paint.fillRect(0, 0, GUTTER, camera.height);
  paint.save();
  paint.beginPath();
  paint.rect(0, top_(), GUTTER, camera.height - top_());
  paint.clip();
  paint.font = "12px system-ui,sans-serif";
  paint.textBaseline = "middle";
  for (let place = Math.floor(camera.scroll / ROW); place < shownOps.rows.length; place++) {
    const y = rowY(place), row = shownOps.rows[place];
    if (y > camera.height) break;
    paint.fillStyle = colours.line;
    paint.fillRect(0, y + ROW - 1, GUTTER, 1);
    paint.fillStyle = colours.ink;
    if (row.first || !place) paint.fillText(short(row.name, Math.floor((GUTTER - 12) / 6.4)), 8, y + ROW / 2);
  }
  paint.restore();
  paint.fillStyle = colours.line;
  paint.fillRect(GUTTER - 1, 0, 1, camera.height);
}

const short = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/* One lane per verdict over the same time: how far it can be explained, and where it is wrong. */
function drawLanes() {
  paint.font = "11px system-ui,sans-serif";
  paint.textBaseline = "middle";
  views.forEach((view, number) => {
    const y = AXIS + number * LANE, left = Math.max(toX(span.from), GUTTER);
    const right = Math.min(toX(span.to), camera.width);
    paint.fillStyle = number === chosen.view ? colours.raised : colours.ground;
    paint.fillRect(0, y, camera.width, LANE);
    paint.fillStyle = colours[view.verdict];
    paint.fillText(`${{ valid: "✓", unknown: "?", invalid: "✗" }[view.verdict]} ${short(view.name, Math.floor((GUTTER - 24) / 5.6))}`, 8, y + LANE / 2);
    if (right > left) {
      const stops = view.order ? [...view.order.keys.values()].filter((one) => !one.complete) : [];
      const stop = stops.length ? Math.min(...stops.map((one) => (one.until === null ? 0 : one.until))) : null;
      const cut = stop === null ? (view.verdict === "valid" ? right : left) : Math.min(Math.max(toX(stop), left), right);
      paint.globalAlpha = 0.3;
      paint.fillRect(cut, y + 6, right - cut, 6);
      paint.fillStyle = colours.valid;
      paint.globalAlpha = 0.7;
      paint.fillRect(left, y + 6, cut - left, 6);
      paint.globalAlpha = 1;
    }
    paint.fillStyle = colours.bad;
    for (const n of view.marked) {
      const x = toX(ops.call[n]);
      if (x >= GUTTER && x <= camera.width) paint.fillRect(x, y + 2, Math.max(3, toX(ops.shown[n]) - x), LANE - 4);
    }
    if (number === chosen.view) {
      paint.fillStyle = colours.focus;
      paint.fillRect(0, y, 3, LANE);
    }
  });
}

/* The whole history in small. What does not change while one looks around is painted once and kept. */
function drawMinimap() {
  const ratio = window.devicePixelRatio || 1, width = minimap.width, height = minimap.height;
  if (!density || density.width !== width || density.height !== height) density = paintDensity(width, height, ratio);
  small.setTransform(1, 0, 0, 1, 0, 0);
  small.drawImage(density, 0, 0);
  const scale = width / (span.to - span.from), x = (camera.from - span.from) * scale;
  const wide = Math.max(4, plotWidth() * camera.perPixel * scale);
  small.fillStyle = colours.focus;
  small.globalAlpha = 0.18;
  small.fillRect(x, 0, wide, height);
  small.globalAlpha = 1;
  small.strokeStyle = colours.focus;
  small.lineWidth = 2 * ratio;
  small.strokeRect(x, 1, wide, height - 2);
}

function paintDensity(width, height, ratio) {
  const copy = document.createElement("canvas");
  copy.width = width;
  copy.height = height;
  const brush = copy.getContext("2d"), scale = (width - 1) / (span.to - span.from), counts = new Float64Array(width + 1);
  brush.fillStyle = colours.ground;
  brush.fillRect(0, 0, width, height);
  brush.fillStyle = colours.band;
  for (const [from, to] of data.bands) {
    brush.fillRect(from * scale, 0, Math.max(1, ((to === null ? span.to : to) - from) * scale), height);
  }
  for (const n of shownOps.list) counts[Math.floor(ops.call[n] * scale)]++;
  const most = Math.max(1, ...counts);
  brush.fillStyle = colours.dim;
  brush.globalAlpha = 0.6;
  for (let x = 0; x < width; x++) {
    const tall = counts[x] ? Math.max(2, Math.sqrt(counts[x] / most) * (height - 8)) : 0;
    brush.fillRect(x, height - tall, 1, tall);
  }
  brush.globalAlpha = 1;
  const view = activeView();
  brush.fillStyle = colours.bad;
  if (view) for (const n of view.marked) brush.fillRect(ops.call[n] * scale - ratio, 0, 3 * ratio, height);
  return copy;
}
