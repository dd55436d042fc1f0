"use strict";
// Shows one step of the backward pass at a time. Nothing is computed here: the numbers and the
// texts were written by minigrad. The script hides what has not arrived yet, and names from the
// user's program reach the page as text only.

const steps = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const SVG = "http://www.w3.org/2000/svg";
const PAUSE = 1600; // milliseconds between steps while playing
const LEGIBLE = 0.72; // pixels for a point of the drawing, whose numbers are 10 points high

const cards = new Map(); // number of a card -> its group in the picture
const lanes = new Map(); // number of an arrow -> its group
for (const group of document.querySelectorAll("[data-card]")) {
  cards.set(Number(group.dataset.card), group);
}
for (const group of document.querySelectorAll("[data-lane]")) {
  lanes.set(Number(group.dataset.lane), group);
}

// What arrives at each card in the whole pass: [step, ...] in order; the first card starts it.
const arrivals = new Map();
const reached = new Map(); // card -> the first step at it
steps.forEach((step, k) => {
  if (!reached.has(step.card)) reached.set(step.card, k);
  for (const share of step.shares) {
    if (!arrivals.has(share.card)) arrivals.set(share.card, []);
    arrivals.get(share.card).push(k);
  }
});

// --- the page ------------------------------------------------------------------------------------

function made(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

function drawn(tag, kind, attributes) {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function around(box, room) {
  return {x: box.x - room, y: box.y - room, width: box.width + 2 * room,
          height: box.height + 2 * room, rx: 3};
}

for (const [number, group] of cards) {
  const label = group.querySelector(".grad");
  if (label) {
    const box = label.firstElementChild.getBBox();
    group.append(drawn("text", "soon", {x: box.x + 2, y: box.y + Math.min(11, box.height)}));
  }
  group.append(drawn("rect", "ring", around(group.getBBox(), 4)));
  if (reached.has(number)) {
    const k = reached.get(number);
    group.classList.add("step");
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", `step ${k + 1}: ${steps[k].name}`);
    group.addEventListener("click", () => chosen(k));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        chosen(k);
      }
    });
  }
}
for (const group of lanes.values()) {
  for (const words of group.querySelectorAll("text")) {
    group.prepend(drawn("rect", "glow", around(words.getBBox(), 2)));
  }
}

function figure(array, caption) {
  const element = made("figure");
  element.title = array.exact;
  element.append(made("figcaption", "", caption ? `${caption} ${array.shape}` : array.shape));
  const rows = array.rows || (array.fills ? [array.fills.map((fill) => ["", fill, ""])] : []);
  if (rows.length) {
    const table = made("table", array.fills ? "strip" : "");
    for (const row of rows) {
      const line = table.insertRow();
      for (const [text, fill, ink] of row) {
        const cell = line.insertCell();
        cell.textContent = text;
        cell.style.backgroundColor = fill;
        if (ink) cell.style.color = ink;
      }
    }
    element.append(table);
  }
  if (array.text) element.append(made("span", "words", array.text));
  if (array.alarm) element.append(made("span", "alarm", array.alarm));
  return element;
}

function block(kind, code, ...parts) {
  const element = made("div", `block ${kind}`);
  element.append(made("code", "", code), ...parts);
  return element;
}

function figures(...parts) {
  const row = made("div", "figures");
  row.append(...parts);
  return row;
}

function shareBlock(share) {
  const parts = [];
  if (share.worked) {
    parts.push(made("code", "worked", share.worked));
  } else {
    const row = Object.entries(share.operands).map(([word, array]) => figure(array, word));
    if (share.before) row.push(figure(share.before, "so far"), made("span", "sign", "+"));
    row.push(figure(share.value, row.length || share.after ? "added" : ""));
    if (share.before) row.push(made("span", "sign", "="), figure(share.after, "now"));
    parts.push(figures(...row));
  }
  for (const words of share.where) parts.push(made("p", "", `where ${words}`));
  parts.push(made("p", "", share.progress));
  return block("share", share.line, ...parts);
}

function panelOf(step) {
  const row = made("div", "blocks");
  row.append(block("", `g = ${step.name}.grad`, figures(figure(step.g, ""))),
             ...step.shares.map(shareBlock));
  return [made("p", "note", step.note), row];
}

// --- one step ------------------------------------------------------------------------------------

let current = -1;
let timer = null;
let settled = false; // at first the picture is put in place without a scroll

function show(k) {
  k = Math.max(0, Math.min(steps.length - 1, k));
  if (k === current) return;
  if (current >= 0) document.body.classList.add("moving"); // the first picture stands at once
  current = k;
  const step = steps[k];
  get("panel").replaceChildren(...panelOf(step));
  get("slider").value = k + 1;
  get("slider").setAttribute("aria-valuetext", `${k + 1} of ${steps.length}: ${step.title}`);
  get("where").title = step.title;
  get("where").textContent = `step ${k + 1} of ${steps.length}: ${step.title}`;
  get("first").disabled = get("back").disabled = k === 0;
  get("last").disabled = get("next").disabled = k === steps.length - 1;
  for (const [number, group] of cards) mark(number, group, k);
  const now = new Set(step.shares.map((share) => share.lane));
  const used = new Set(steps.slice(0, k).flatMap((s) => s.shares.map((share) => share.lane)));
  for (const [number, group] of lanes) {
    group.classList.toggle("now", now.has(number));
    group.classList.toggle("later", !now.has(number) && !used.has(number));
  }
  bringIntoView(step);
  try {
    history.replaceState(null, "", `#step=${k + 1}`);
  } catch (error) {
    // a page shown inside another one may have no address of its own
  }
}

function mark(number, group, k) {
  const shares = arrivals.get(number) || [];
  const here = shares.filter((at) => at <= k).length;
  const complete = number === steps[0].card || (shares.length > 0 && here === shares.length);
  group.classList.toggle("waiting", !complete);
  group.classList.toggle("part", here > 0 && !complete);
  group.classList.toggle("now", steps[k].card === number);
  group.classList.toggle("gets", steps[k].card !== number
                         && steps[k].shares.some((share) => share.card === number));
  const soon = group.querySelector(".soon");
  const words = here ? `${here} of ${shares.length}` : "none yet";
  if (soon) soon.textContent = complete ? "" : words;
}

// Scrolls the picture so that what this step is about is in the middle, if it is not in sight.
function bringIntoView(step) {
  const view = get("graph"), frame = view.getBoundingClientRect();
  const boxes = [step.card, ...step.shares.map((share) => share.card)]
    .map((number) => cards.get(number).getBoundingClientRect());
  const end = (side, most) => most(...boxes.map((box) => box[side]));
  const left = end("left", Math.min), right = end("right", Math.max);
  const top = end("top", Math.min), bottom = end("bottom", Math.max);
  const fits = right - left <= frame.width && bottom - top <= frame.height;
  const whole = fits ? {left, right, top, bottom} : boxes[0];
  if (whole.left >= frame.left && whole.right <= frame.right
      && whole.top >= frame.top && whole.bottom <= frame.bottom) return;
  view.scrollBy({left: (whole.left + whole.right - frame.left - frame.right) / 2,
                 top: (whole.top + whole.bottom - frame.top - frame.bottom) / 2,
                 behavior: calm.matches || !settled ? "auto" : "smooth"});
}

// --- controls ------------------------------------------------------------------------------------

function chosen(k) {
  stop();
  show(k);
}

function stop() {
  clearInterval(timer);
  timer = null;
  get("play").textContent = "Play";
  get("play").setAttribute("aria-pressed", "false");
}

function play() {
  if (timer !== null) {
    stop();
    return;
  }
  show(current === steps.length - 1 ? 0 : current + 1);
  get("play").textContent = "Pause";
  get("play").setAttribute("aria-pressed", "true");
  timer = setInterval(() => {
    show(current + 1);
    if (current === steps.length - 1) stop();
  }, PAUSE);
}

const SIZES = ["whole", "width", "full"];

function sized(size) {
  for (const other of SIZES) {
    get("graph").classList.toggle(other, other === size);
    get(other).setAttribute("aria-pressed", String(other === size));
  }
  if (current >= 0) bringIntoView(steps[current]);
}

// The whole picture, unless it would be too small to read.
function sizedToRead() {
  const svg = get("graph").querySelector("svg");
  for (const size of SIZES) {
    sized(size);
    if (svg.getBoundingClientRect().width / svg.viewBox.baseVal.width >= LEGIBLE) return;
  }
}

function fromAddress() {
  const match = /step=(\d+)/.exec(window.location.hash);
  return match ? Number(match[1]) - 1 : 0;
}

get("first").addEventListener("click", () => chosen(0));
get("back").addEventListener("click", () => chosen(current - 1));
get("next").addEventListener("click", () => chosen(current + 1));
get("last").addEventListener("click", () => chosen(steps.length - 1));
get("play").addEventListener("click", play);
get("slider").addEventListener("input", () => chosen(Number(get("slider").value) - 1));
for (const size of SIZES) get(size).addEventListener("click", () => sized(size));
window.addEventListener("hashchange", () => chosen(fromAddress()));
document.addEventListener("keydown", (event) => {
  if (event.target === get("slider") || event.ctrlKey || event.altKey || event.metaKey) return;
  const to = {ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: steps.length - 1};
  if (event.key in to) {
    event.preventDefault();
    chosen(to[event.key]);
  }
});

// A panel whose height changes would move the picture under it: it gets the height of its tallest
// step.
function levelled() {
  const panel = get("panel");
  let tallest = 0;
  for (const step of steps) {
    panel.replaceChildren(...panelOf(step));
    tallest = Math.max(tallest, panel.offsetHeight);
  }
  panel.style.minHeight = `${tallest}px`;
}

levelled();
sizedToRead();
show(fromAddress());
settled = true;
