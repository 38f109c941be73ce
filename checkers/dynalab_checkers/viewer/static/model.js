"use strict";
/* What the page knows, and the questions that drawing asks of it. No drawing and no page here.
   Columns are typed arrays; a row's operations are sorted and never meet, so every question is a binary search. */

const data = JSON.parse(document.getElementById("data").textContent);
const texts = data.texts;
const OUTCOMES = ["ok", "failed", "unknown"];
const FAIL = 1, INFO = 2;

function sums(differences) {
  const result = new Float64Array(differences.length);
  let sum = 0;
  for (let n = 0; n < differences.length; n++) result[n] = sum += differences[n];
  return result;
}

const ops = (() => {
  const raw = data.operations, count = raw.call.length;
  const call = sums(raw.call), end = new Float64Array(count), shown = new Float64Array(count);
  const readKind = texts.indexOf("read"), getKind = texts.indexOf("get");
  const isRead = new Uint8Array(count);
  for (let n = 0; n < count; n++) {
    end[n] = raw.length[n] < 0 ? Infinity : call[n] + raw.length[n];
    shown[n] = raw.length[n] < 0 ? call[n] + raw.given_up[n] : end[n];
    isRead[n] = raw.kind[n] === readKind || raw.kind[n] === getKind ? 1 : 0;
  }
  return {
    count, call, end, shown, isRead, index: sums(raw.index),
    row: Int32Array.from(raw.row), client: Int32Array.from(raw.client), key: Int32Array.from(raw.key),
    keys: raw.keys || null, // of transactions, which have several: their numbers
    outcome: Uint8Array.from(raw.outcome), label: Int32Array.from(raw.label), note: Int32Array.from(raw.note),
  };
})();

/* The keys of an operation, and the words for them. */
const keysOf = (n) => (ops.keys ? ops.keys[n] : [ops.key[n]]);
const keyText = (n) => keysOf(n).map((key) => texts[key]).join(", ");
const allKeys = () => (ops.keys ? ops.keys.flat() : ops.key);

const span = (() => {
  let last = 1;
  for (let n = 0; n < ops.count; n++) if (ops.shown[n] > last) last = ops.shown[n];
  return { from: 0, to: last };
})();

/* One verdict: what it marks, and the order that it shows, if any. */
function decodeView(raw) {
  const view = {
    name: raw.name, verdict: raw.verdict, why: raw.why, key: raw.key, span: raw.span,
    part: raw.part, marked: raw.marked, isMarked: new Set(raw.marked), isPart: new Set(raw.part), order: null,
  };
  if (raw.order) {
    const place = new Int32Array(ops.count).fill(-1), at = new Float64Array(ops.count).fill(NaN);
    const before = new Int32Array(ops.count).fill(-1), after = new Int32Array(ops.count).fill(-1);
    const keys = new Map(), blocked = new Set();
    for (const one of raw.order.keys) {
      const moments = sums(one.at);
      let state = one.initial;
      one.members.forEach((n, where) => {
        place[n] = where;
        at[n] = moments[where];
        before[n] = state;
        state = after[n] = one.after[where];
      });
      one.blocked.forEach((n) => blocked.add(n));
      keys.set(one.key, { ...one, at: moments });
    }
    view.order = { place, at, before, after, keys, blocked };
  }
  return view;
}
const views = data.views.map(decodeView);

/* The operations that the filters let through, by time, and for each row. */
const filter = { key: "", client: "", part: false };
let shownOps = { list: new Int32Array(0), rows: [], where: new Int32Array(0) };

function matcher(column, wanted) {
  if (!wanted) return null;
  const exact = texts.indexOf(wanted);
  const values = new Set(column);
  if (exact >= 0 && values.has(exact)) return new Set([exact]);
  const needle = wanted.toLowerCase();
  return new Set([...values].filter((text) => texts[text].toLowerCase().includes(needle)));
}

const byCall = Int32Array.from({ length: ops.count }, (_, n) => n)
  .sort((a, b) => ops.call[a] - ops.call[b] || a - b);

function applyFilter(view) {
  const keys = matcher(allKeys(), filter.key), clients = matcher(ops.client, filter.client);
  const part = filter.part && view && view.part.length ? view.isPart : null;
  const rows = data.rows.map(() => []), list = [], seenKeys = new Set();
  for (const n of byCall) {
    if (keys && !keysOf(n).some((key) => keys.has(key))) continue;
    if (clients && !clients.has(ops.client[n])) continue;
    if (part && !part.has(n)) continue;
    list.push(n);
    seenKeys.add(ops.key[n]);
    rows[ops.row[n]].push(n);
  }
  const where = new Int32Array(ops.count).fill(-1);
  list.forEach((n, place) => { where[n] = place; });
  // A row without operations is left out: what is shown moves together.
  const kept = rows.map((members, row) => ({ row, members })).filter((one) => one.members.length);
  shownOps = {
    list: Int32Array.from(list), where, keys: seenKeys.size,
    rows: kept.map((one) => ({ name: data.rows[one.row].name, first: data.rows[one.row].first, members: one.members })),
    placeOfRow: new Map(kept.map((one, place) => [one.row, place])),
  };
}

/* The first of `members` for which `column` is at least `bound`; the column grows along them. */
function firstFrom(members, column, bound, low = 0) {
  let high = members.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[members[middle]] < bound) low = middle + 1; else high = middle;
  }
  return low;
}

function firstAbove(sorted, bound) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= bound) low = middle + 1; else high = middle;
  }
  return low;
}

/* Times are the history's own, as in the sentences: `origin` is what the columns leave out. A clock that counts from
   1970 or from the start of a machine is too large for the page's numbers; then times count from the first call.
   One unit for the whole page, as many digits as tell nanoseconds apart. */
const origin = Math.abs(Number(data.start)) < 1e14 ? Number(data.start) : 0;
const unit = [["ns", 1, 0], ["µs", 1e3, 3], ["ms", 1e6, 6], ["s", 1e9, 9]]
  .find(([, size]) => Math.max(Math.abs(origin), span.to + origin) / size < 20000) || ["s", 1e9, 9];

function time(ns, digits = unit[2]) {
  if (!Number.isFinite(ns)) return "never";
  const text = ((ns + origin) / unit[1]).toFixed(Math.max(0, digits));
  return digits === unit[2] && text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/* What the key held at a moment along the order of a verdict; null if that is not shown. */
function stateAt(view, key, ns) {
  const order = view && view.order && view.order.keys.get(key);
  if (!order || (!order.members.length && !order.complete)) return null;
  if (!order.complete && order.until !== null && ns > order.until) return null;
  const place = firstAbove(order.at, ns);
  return texts[place ? order.after[place - 1] : order.initial];
}

/* Everything that is known of an operation, as pairs of words: for the tip, the panel and the screen reader. */
function describe(n, view) {
  const said = [
    ["operation", texts[ops.label[n]]], ["client", texts[ops.client[n]]], ["key", keyText(n)],
    ["from", `${time(ops.call[n])} ${unit[0]}`],
    ["to", ops.end[n] === Infinity ? "never returned" : `${time(ops.end[n])} ${unit[0]}`],
    ["outcome", OUTCOMES[ops.outcome[n]]],
  ];
  if (texts[ops.note[n]]) said.push(["note", texts[ops.note[n]]]);
  if (!view) return said;
  if (view.isMarked.has(n)) said.push([view.name, "marked: see the sentence above"]);
  else if (view.isPart.has(n)) said.push([view.name, "has a part in the error"]);
  const order = view.order, key = order && order.keys.get(ops.key[n]);
  if (!key) return said;
  if (order.place[n] >= 0) {
    const place = `${order.place[n] + 1} of ${key.members.length}`;
    said.push(["value before", texts[order.before[n]]], ["value after", texts[order.after[n]]]);
    said.push(["place in the order", `${place}, for example at ${time(order.at[n])} ${unit[0]}`]);
  } else said.push(["place in the order", whyNoPlace(n, order, key)]);
  return said;
}

function whyNoPlace(n, order, key) {
  if (!key.members.length) return `none: ${key.why || "no order is shown for this key"}`;
  if (order.blocked.has(n)) return "none: no order explains its return, so the largest linearizable prefix ends before it";
  const beyond = key.until === null || ops.end[n] > key.until;
  if (!key.complete && beyond) return "none: it comes after the largest linearizable prefix of its key";
  if (ops.outcome[n] === FAIL) return "none: it failed, so it had no effect";
  if (ops.outcome[n] === INFO) return "none needed: nobody saw an effect of it";
  return "none: this checker does not judge it";
}
