"use strict";
// The page of a run, first part: numbers unpacked and written, curves over the steps, and files.
// The second part, report.js, puts the page together.

const get = (id) => document.getElementById(id);
const words = JSON.parse(get("data").textContent);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const SVG = "http://www.w3.org/2000/svg";
const SLOT = /\ue000(\d+)\ue001/;
const GUTTER = 156, AXIS = 52; // pixels left of all curves, and what is the scale's: see the style
const BLUE = [31, 111, 178], ORANGE = [230, 126, 34], PURPLE = [106, 20, 95];
const NONE = [208, 213, 221], WRONG = [180, 35, 24], ZERO = [255, 255, 255];
const PALE = [242, 244, 247]; // a zero among squares

const steps = words.steps, all = words.all, parameters = words.parameters;
const sizes = parameters.map((p) => p.shape.reduce((a, b) => a * b, 1));
const state = {k: -1, p: 0, i: 0}; // which step, parameter and weight are shown
let bytes = null; // all numbers

// --- numbers -------------------------------------------------------------------------------------

async function unpacked() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser cannot unpack the numbers of the page (it has no "
                    + "DecompressionStream). Chrome and Edge from 80 on, Safari from 16.4 on and "
                    + "Firefox from 113 on can.");
  }
  const packed = Uint8Array.from(atob(get("numbers").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const starts = []; // of every series, in bytes
const series = new Map(); // number of a series -> its values, once they were asked for

function measured() {
  let start = 0;
  for (const [rows, n, kind] of words.series) {
    starts.push(start);
    if (kind !== "=") start += rows * n * (kind === "f8" ? 8 : 4);
  }
  if (start !== bytes.length) throw new Error("The numbers of this page are damaged.");
}

// The values of a series. In the file all first bytes of its numbers come first, and so on.
function valuesOf(number) {
  if (series.has(number)) return series.get(number);
  const [rows, n, kind, same] = words.series[number], count = rows * n;
  let values;
  if (kind === "=") {
    values = new Float64Array(count).fill(same);
  } else {
    const width = kind === "f8" ? 8 : 4, start = starts[number];
    const whole = new Uint8Array(count * width);
    for (let b = 0; b < width; b++) {
      for (let j = 0; j < count; j++) whole[j * width + b] = bytes[start + b * count + j];
    }
    values = width === 8 ? new Float64Array(whole.buffer) : new Float32Array(whole.buffer);
  }
  series.set(number, values);
  return values;
}

// What a reference stands for: a number, or [series, how many steps before, other sign?].
function valueOf(ref, k, i) {
  if (typeof ref === "number") return ref;
  const [number, before, minus] = ref, row = k - (before || 0);
  if (row < 0) return 0;
  const n = words.series[number][1], value = valuesOf(number)[row * n + (n === 1 ? 0 : i)];
  return minus ? -value : value;
}

function isWide(ref) { // does it hold float64?
  return typeof ref === "number" || words.series[ref[0]][2] !== "f4";
}

function short(x, digits = 6) {
  if (Number.isNaN(x) || x === undefined) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  const text = Number(x.toPrecision(digits));
  return x && Math.abs(x) < 1e-4 ? text.toExponential() : String(text);
}

// A number of float32 in as few digits as tell it apart; others in full.
function exact(x, wide) {
  if (wide || !Number.isFinite(x)) return Number.isFinite(x) ? String(x) : short(x);
  for (let digits = 6; digits < 9; digits++) {
    if (Math.fround(Number(x.toPrecision(digits))) === x) return short(x, digits);
  }
  return short(x, 9);
}

function indexOf(p, i) {
  const parts = [];
  for (let d = parameters[p].shape.length - 1; d >= 0; d--) {
    const n = parameters[p].shape[d];
    parts.unshift(i % n);
    i = Math.floor(i / n);
  }
  return parts;
}

function flatOf(p, parts) { // null if there is no such index
  const shape = parameters[p].shape;
  if (parts.length !== shape.length || !sizes[p]) return null;
  let flat = 0;
  for (const [d, n] of shape.entries()) {
    if (!Number.isInteger(parts[d]) || parts[d] < 0 || parts[d] >= n) return null;
    flat = flat * n + parts[d];
  }
  return flat;
}

function nameOf(p, i) {
  const parts = indexOf(p, i);
  return parameters[p].name + (parts.length ? `[${parts.join(", ")}]` : "");
}

// --- making elements -----------------------------------------------------------------------------

function made(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

function drawn(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

// White turned so far (0 to 1) to a colour, [red, green, blue].
function blend(colour, part) {
  return colour.map((c) => Math.round(255 + part * (c - 255)));
}

function mixed(colour, part) {
  return `rgb(${blend(colour, part).join(",")})`;
}

// A canvas of so many CSS pixels, sharp on every screen; returns what to draw with.
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
}

// --- curves over the steps -----------------------------------------------------------------------

const span = all[all.length - 1] - all[0] || 1;
const across = (step, width) => all.length > 1 ? (step - all[0]) / span * (width - 3) + 1.5
                                               : width / 2;

function ticks(low, high, log) {
  if (log) {
    const found = [], few = high - low < 2.2;
    for (let e = Math.floor(low); e <= Math.ceil(high); e++) {
      for (const m of few ? [1, 2, 5] : [1]) found.push(e + Math.log10(m));
    }
    const seen = found.filter((t) => t >= low && t <= high), every = Math.ceil(seen.length / 9);
    return seen.filter((_, j) => j % every === 0);
  }
  const raw = (high - low) / 2, unit = 10 ** Math.floor(Math.log10(raw));
  const size = unit * (raw / unit >= 5 ? 5 : raw / unit >= 2 ? 2 : 1), found = [];
  for (let t = Math.ceil(low / size) * size; t <= high; t += size) found.push(t);
  return found;
}

// The scale and the picture of a curve, values at steps: logarithmic if that can be and is wanted.
function curve(at, values, {width, height, log, kind}) {
  const svg = drawn("svg", {width, height, "aria-hidden": "true"});
  const axis = drawn("svg", {width: AXIS, height, "aria-hidden": "true"});
  const known = values.filter(Number.isFinite);
  if (!known.length) {
    svg.append(drawn("text", {x: 40, y: height / 2 + 4, class: "axis"}, "none"));
    return [axis, svg];
  }
  log = log && known.every((v) => v > 0);
  const scale = (v) => log ? Math.log10(v) : v;
  let low = Infinity, high = -Infinity;
  for (const v of known) {
    low = Math.min(low, scale(v));
    high = Math.max(high, scale(v));
  }
  const flat = high - low <= Math.abs(high) * 1e-12 ? [low] : null;
  if (flat) {
    const room = log ? 0.5 : Math.abs(high) * 0.5 || 1;
    [low, high] = [low - room, high + room];
  }
  const y = (v) => height - 5 - (v - low) / (high - low) * (height - 10);
  let above = -Infinity;
  const marks = (flat || ticks(low, high, log)).sort((a, b) => b - a);
  const apart = marks.length > 1 ? Math.max(Math.abs(low), Math.abs(high)) / (marks[0] - marks[1])
                                 : 1;
  const digits = log ? 2 : Math.max(3, Math.ceil(Math.log10(apart)) + 1);
  for (const t of marks) {
    const line = Math.max(8, Math.min(height - 4, y(t) + 4));
    svg.append(drawn("line", {x1: 0, x2: width, y1: y(t), y2: y(t), class: "rule"}));
    if (line - above < 13) continue; // no room for its number
    above = line;
    const text = short(log ? 10 ** t : t, digits);
    axis.append(drawn("text", {x: AXIS - 5, y: line, class: "axis"}, text));
  }
  let path = "", pen = false;
  values.forEach((v, j) => {
    const there = Number.isFinite(v);
    if (there) {
      path += `${pen ? "L" : "M"}${across(at[j], width).toFixed(1)} ${y(scale(v)).toFixed(1)}`
        + (pen ? "" : "h0"); // a point by itself is a dot
    }
    pen = there;
  });
  if (known.length === 1) {
    const j = values.findIndex(Number.isFinite);
    svg.append(drawn("circle", {cx: across(at[j], width), cy: y(scale(values[j])), r: 3,
                                class: "dot"}));
  }
  svg.append(drawn("path", {d: path, class: `curve ${kind || ""}`}));
  return [axis, svg];
}

// A row of a timeline: its label, and the curve. `now` says the value at a step.
function curveRow(box, label, at, values, options, now) {
  const head = made("div", "head"), value = made("span");
  head.append(made("b", "", label), value);
  head.title = options.title || label;
  const plot = made("div", "plot"), scale = made("div", "scale");
  const width = Math.max(60, box.clientWidth - GUTTER);
  const [axis, picture] = curve(at, values, {...options, width});
  plot.setAttribute("role", "img");
  scale.append(axis);
  plot.append(picture);
  box.append(head, scale, plot);
  return () => {
    value.textContent = now();
    plot.setAttribute("aria-label", `${label} over the steps; now ${value.textContent}`);
  };
}

function cursorOf(box) {
  const line = made("div", "cursor");
  box.append(line);
  return () => {
    line.style.left = `${GUTTER + across(steps[state.k], box.clientWidth - GUTTER)}px`;
  };
}

// Clicks and drags over a timeline choose the step.
function scrubbed(box) {
  const move = (event) => {
    const frame = box.getBoundingClientRect(), x = event.clientX - frame.left - GUTTER;
    if (x < -4 || event.target.closest("button")) return;
    const width = frame.width - GUTTER;
    goTo(nearest(all[0] + (x - 1.5) / (width - 3) * span));
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button === 0) move(event);
  });
  box.addEventListener("pointermove", (event) => {
    if (event.buttons === 1) move(event);
  });
}

function nearest(step) {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1;
    else high = middle;
  }
  return low > 0 && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
}

// --- files ---------------------------------------------------------------------------------------

function quotedCell(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saved(rows, name) {
  const text = rows.map((row) => row.map((cell) => quotedCell(String(cell))).join(",")).join("\n");
  const link = made("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], {type: "text/csv"}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Rows of a CSV file: a head, and a row for each (k, parameter, index).
function rowsOf(places) {
  const names = [...new Set(places.flatMap(([, p]) => Object.keys(parameters[p].quantities)))];
  const rows = places.map(([k, p, i]) => [
    steps[k], parameters[p].name, `[${indexOf(p, i).join(", ")}]`,
    ...names.map((name) => {
      const ref = parameters[p].quantities[name];
      return ref === undefined || isNone(p, name, k) ? "" : exact(valueOf(ref, k, i), isWide(ref));
    })]);
  const kept = ["step", "parameter", "index"];
  return [[...kept, ...names.map((name) => kept.includes(name) ? `${name} (rule)` : name)],
          ...rows];
}

function stepRows() {
  return rowsOf(parameters.flatMap((_, p) => Array.from({length: sizes[p]},
                                                        (__, i) => [state.k, p, i])));
}

function weightRows() {
  return rowsOf(sizes[state.p] ? steps.map((_, k) => [k, state.p, state.i]) : []);
}
