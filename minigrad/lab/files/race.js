// The page of a race. Nothing is computed about the race here: every number was recorded by
// minigrad, the script only draws those of a step. Its first part, report_parts.js, unpacks and
// writes numbers. Names from the user's program reach the page as text only.

const lanes = words.lanes, shown = new Set(lanes.keys());
const LEFT = 54, BELOW = 26, TOP = 8; // pixels around the map and the chart
const LOW = [220, 230, 240], HIGH = [251, 252, 253], LINE = [170, 180, 194];
let timer = null; // while playing
let map = null, chart = null; // their geometry, as they were last drawn
let cards = [];

// The row of a lane's numbers at the k-th step shown: its last one if it ended before.
const rowOf = (lane, k) => Math.min(k, lane.steps.length - 1);
const pairOf = (number, row) => [0, 1].map((j) => valuesOf(number)[2 * row + j]);

// --- the landscape -------------------------------------------------------------------------------

function geometryOfMap() {
  const [[x0, x1], [y0, y1]] = words.domain;
  const room = get("map").clientWidth - LEFT - 4;
  const tallest = Math.max(260, window.innerHeight * 0.72);
  let width = Math.max(120, room), height = width * (y1 - y0) / (x1 - x0);
  if (!words.even) height = Math.min(width * 0.75, tallest);
  if (height > tallest) {
    width *= tallest / height;
    height = tallest;
  }
  return {x0, x1, y0, y1, width: Math.round(width), height: Math.round(height),
          x: (x) => (x - x0) / (x1 - x0) * width, y: (y) => (y1 - y) / (y1 - y0) * height};
}

// Between which contour lines a height is: 0 below the first.
function bandOf(height) {
  let low = 0, high = words.levels.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words.levels[middle] <= height) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The band of each pixel, from heights on a grid, as flat between its points as can be.
function bands(width, height) {
  const [rows, columns] = words.series[words.grid], heights = valuesOf(words.grid);
  const found = new Int16Array(width * height);
  for (let j = 0; j < height; j++) {
    const v = (1 - (j + 0.5) / height) * (rows - 1), r = Math.min(rows - 2, Math.floor(v));
    for (let i = 0; i < width; i++) {
      const u = (i + 0.5) / width * (columns - 1), c = Math.min(columns - 2, Math.floor(u));
      const at = r * columns + c, a = u - c, b = v - r;
      const z = (1 - b) * ((1 - a) * heights[at] + a * heights[at + 1])
        + b * ((1 - a) * heights[at + columns] + a * heights[at + columns + 1]);
      found[j * width + i] = Number.isNaN(z) ? -1 : bandOf(z);
    }
  }
  return found;
}

function drawLand() {
  const canvas = get("land"), ratio = window.devicePixelRatio || 1;
  const width = canvas.width = Math.round(map.width * ratio);
  const height = canvas.height = Math.round(map.height * ratio);
  const found = bands(width, height), pen = canvas.getContext("2d");
  const image = pen.createImageData(width, height), data = image.data;
  const most = Math.max(1, words.levels.length);
  const colours = Array.from({length: most + 1}, (_, band) => LOW.map(
    (c, n) => Math.round(c + (HIGH[n] - c) * band / most)));
  for (let at = 0; at < found.length; at++) {
    const band = found[at], right = (at + 1) % width ? found[at + 1] : band;
    const under = at + width < found.length ? found[at + width] : band;
    const colour = band < 0 ? NONE : right !== band || under !== band ? LINE : colours[band];
    for (let n = 0; n < 3; n++) data[4 * at + n] = colour[n];
    data[4 * at + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
}

function drawFrame() {
  const svg = get("frame"), width = LEFT + map.width + 4, height = TOP + map.height + BELOW;
  svg.replaceChildren();
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  for (const t of ticks(map.x0, map.x1, false)) {
    const x = LEFT + map.x(t), y = TOP + map.height;
    svg.append(drawn("line", {x1: x, x2: x, y1: y, y2: y + 4, class: "tick"}),
               drawn("text", {x, y: y + 17, class: "axis middle"}, short(t, 3)));
  }
  for (const t of ticks(map.y0, map.y1, false)) {
    const y = TOP + map.y(t);
    svg.append(drawn("line", {x1: LEFT - 4, x2: LEFT, y1: y, y2: y, class: "tick"}),
               drawn("text", {x: LEFT - 7, y: y + 4, class: "axis end"}, short(t, 3)));
  }
  for (const id of ["land", "paths"]) {
    get(id).style.left = `${LEFT}px`;
    get(id).style.top = `${TOP}px`;
    get(id).style.width = `${map.width}px`;
    get(id).style.height = `${map.height}px`;
  }
}

// --- the paths -----------------------------------------------------------------------------------

function star(pen, x, y, radius) {
  pen.beginPath();
  for (let n = 0; n < 10; n++) {
    const size = n % 2 ? radius * 0.45 : radius, turn = Math.PI * n / 5;
    pen.lineTo(x + size * Math.sin(turn), y - size * Math.cos(turn));
  }
  pen.closePath();
  pen.fill();
}

function cross(pen, x, y, radius) {
  pen.beginPath();
  for (const sign of [-1, 1]) {
    pen.moveTo(x - radius, y - sign * radius);
    pen.lineTo(x + radius, y + sign * radius);
  }
  pen.stroke();
}

function disc(pen, x, y, radius, fill, stroke) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = fill;
  pen.fill();
  pen.strokeStyle = stroke;
  pen.lineWidth = 1.5;
  pen.stroke();
}

function drawPath(pen, lane, k) {
  const points = valuesOf(lane.points), end = rowOf(lane, k);
  pen.strokeStyle = lane.colour;
  pen.lineWidth = 2;
  pen.setLineDash(lane.dashed ? [7, 4] : []);
  pen.beginPath();
  for (let row = 0; row <= end; row++) {
    if (!Number.isNaN(points[2 * row])) {
      pen.lineTo(map.x(points[2 * row]), map.y(points[2 * row + 1]));
    }
  }
  pen.stroke();
  pen.setLineDash([]);
}

function drawPaths() {
  const canvas = get("paths"), {k} = state, pen = sized(canvas, map.width, map.height);
  pen.lineJoin = "round";
  for (const n of shown) drawPath(pen, lanes[n], k);
  pen.fillStyle = pen.strokeStyle = "#1d2939";
  pen.lineWidth = 2;
  for (const [x, y] of words.minima) star(pen, map.x(x), map.y(y), 8);
  for (const [x, y] of words.saddles) cross(pen, map.x(x), map.y(y), 4.5);
  disc(pen, map.x(words.start[0]), map.y(words.start[1]), 4.5, "#fff", "#1d2939");
  const places = [];
  for (const n of shown) {
    const lane = lanes[n], row = rowOf(lane, k), [x, y] = pairOf(lane.points, row);
    if (!Number.isNaN(x)) disc(pen, map.x(x), map.y(y), 5.5, lane.colour, "#fff");
    places.push(`${lane.name} at ${pairOf(lane.w, row).map((v) => short(v, 4)).join(", ")}`);
  }
  canvas.setAttribute("aria-label", `paths up to step ${steps[k]}: ${places.join("; ")}`);
}

// A click on the map leads to the nearest point of a path.
function picked(event) {
  const frame = get("paths").getBoundingClientRect();
  const x = event.clientX - frame.left, y = event.clientY - frame.top;
  let best = 25 ** 2, at = null;
  for (const n of shown) {
    const points = valuesOf(lanes[n].points);
    for (let row = 0; row < lanes[n].steps.length; row++) {
      const far = (map.x(points[2 * row]) - x) ** 2 + (map.y(points[2 * row + 1]) - y) ** 2;
      if (far < best) [best, at] = [far, nearest(lanes[n].steps[row])];
    }
  }
  if (at !== null) goTo(at);
}

// --- heights over the steps ----------------------------------------------------------------------

function pathOf(lane) {
  const values = valuesOf(lane.curve);
  let path = "", pen = false;
  lane.steps.forEach((step, row) => {
    const there = Number.isFinite(values[row]);
    if (there) {
      const y = Math.max(-4000, Math.min(4000, chart.y(values[row])));
      path += `${pen ? "L" : "M"}${chart.x(step).toFixed(1)} ${y.toFixed(1)}`;
    }
    pen = there;
  });
  return path;
}

function drawChart() {
  const box = get("chart"), width = Math.max(160, box.clientWidth - LEFT - 12);
  const height = Math.max(180, Math.min(map.height - 40, 460));
  const scale = (v) => words.heights.log ? Math.log10(v) : v;
  const low = scale(words.heights.low), high = scale(words.heights.high);
  const last = steps[steps.length - 1];
  chart = {width, height, x: (step) => LEFT + step / last * width,
           y: (v) => TOP + 16 + (high - scale(v)) / (high - low) * height};
  const svg = drawn("svg", {width: LEFT + width + 12, height: height + TOP + BELOW + 16});
  const inside = drawn("svg", {x: LEFT - 2, y: TOP + 14, width: width + 4, height: height + 4,
                               viewBox: `${LEFT - 2} ${TOP + 14} ${width + 4} ${height + 4}`});
  svg.append(drawn("text", {x: LEFT, y: 14, class: "words"}, words.heights.label));
  for (const t of ticks(low, high, words.heights.log)) {
    const value = words.heights.log ? 10 ** t : t, y = chart.y(value);
    svg.append(drawn("line", {x1: LEFT, x2: LEFT + width, y1: y, y2: y, class: "rule"}),
               drawn("text", {x: LEFT - 5, y: y + 4, class: "axis end"}, short(value, 2)));
  }
  for (const t of ticks(0, last, false).filter(Number.isInteger)) {
    svg.append(drawn("text", {x: chart.x(t), y: height + TOP + 34, class: "axis middle"},
                     String(t)));
  }
  for (const n of shown) {
    const lane = lanes[n];
    inside.append(drawn("path", {d: pathOf(lane), stroke: lane.colour,
                                 "stroke-dasharray": lane.dashed ? "7 4" : "none"}));
  }
  chart.cursor = drawn("line", {y1: TOP + 16, y2: TOP + 16 + height, class: "cursor"});
  svg.append(inside, chart.cursor);
  box.replaceChildren(svg);
}

function scrub(event) {
  const x = event.clientX - get("chart").getBoundingClientRect().left - LEFT;
  goTo(nearest(x / chart.width * steps[steps.length - 1]));
}

// --- every quantity ------------------------------------------------------------------------------

function drawNames() {
  get("names").replaceChildren(...lanes.map((lane, n) => {
    const button = made("button"), swatch = made("span", `swatch${lane.dashed ? " dashed" : ""}`);
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    swatch.style.borderColor = lane.colour;
    button.append(swatch, made("span", "", `${[lane.name, lane.lr].filter(Boolean).join(" ")}: `
                                       + lane.ending));
    button.addEventListener("click", () => {
      if (shown.has(n)) shown.delete(n);
      else shown.add(n);
      button.setAttribute("aria-pressed", String(shown.has(n)));
      cards[n].element.hidden = !shown.has(n);
      drawChart();
      refresh();
    });
    return button;
  }));
}

function cardOf(lane) {
  const element = made("div", "card"), title = made("h3", "", `${lane.name} `);
  const about = made("p"), table = made("table");
  element.style.borderTopColor = lane.colour;
  const kind = lane.kind === lane.name ? "" : lane.kind;
  title.append(made("span", "", [kind, lane.lr].filter(Boolean).join(", ")));
  const head = table.createTHead().insertRow();
  for (const text of ["", "x", "y"]) head.append(made("th", "", text));
  const body = table.createTBody();
  const row = (name, kind) => {
    const line = body.insertRow();
    line.className = kind;
    line.append(made("th", "", name));
    return [line.insertCell(), line.insertCell()];
  };
  const cells = new Map(Object.entries(lane.quantities).map(
    ([name, number]) => [number, row(name, name === "delta" ? "line" : "")]));
  const place = row("point", "");
  element.append(title, about, table);
  return {element, about, cells, place};
}

function drawCards() {
  cards = lanes.map(cardOf);
  get("cards").replaceChildren(...cards.map((card) => card.element));
}

function fillCard(lane, card, k) {
  const row = rowOf(lane, k), step = lane.steps[row];
  const ended = steps[k] > step ? "ended at " : "";
  card.about.textContent = `${ended}step ${step}  height ${short(valuesOf(lane.values)[row], 5)}`;
  const [x, y] = pairOf(lane.w, row);
  card.place[0].textContent = short(x, 6);
  card.place[1].textContent = short(y, 6);
  for (const [number, cells] of card.cells) {
    const n = words.series[number][1];
    cells.forEach((cell, j) => {
      const value = valuesOf(number)[n * row + (n === 1 ? 0 : j)];
      cell.textContent = step === 0 ? "-" : short(value, 5);
    });
  }
}

// --- what is shown -------------------------------------------------------------------------------

function refresh() {
  const {k} = state, last = steps[steps.length - 1];
  get("slider").value = k;
  get("slider").setAttribute("aria-valuetext", `step ${steps[k]} of ${last}`);
  get("where").textContent = `step ${steps[k]} of ${last}`;
  get("first").disabled = get("back").disabled = k === 0;
  get("last").disabled = get("next").disabled = k === steps.length - 1;
  drawPaths();
  chart.cursor.setAttribute("x1", chart.x(steps[k]));
  chart.cursor.setAttribute("x2", chart.x(steps[k]));
  const ends = [...shown].map((n) => `${lanes[n].name} ${short(
    valuesOf(lanes[n].values)[rowOf(lanes[n], k)], 4)}`);
  get("chart").setAttribute("aria-label", `${words.heights.label} over the steps; heights now: `
                            + ends.join(", "));
  lanes.forEach((lane, n) => fillCard(lane, cards[n], k));
  try {
    history.replaceState(null, "", `#step=${steps[k]}`);
  } catch (error) {
    // a page shown inside another one may have no address of its own
  }
}

function show(k) {
  k = Math.max(0, Math.min(steps.length - 1, k));
  if (k === state.k) return;
  state.k = k;
  refresh();
}

function goTo(k) {
  stop();
  show(k);
}

function redraw() {
  map = geometryOfMap();
  drawFrame();
  drawLand();
  drawChart();
  refresh();
}

// --- controls ------------------------------------------------------------------------------------

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
  if (state.k === steps.length - 1) show(0);
  get("play").textContent = "Pause";
  get("play").setAttribute("aria-pressed", "true");
  const stride = Math.ceil(steps.length / 250); // a whole race in 20 seconds
  timer = setInterval(() => {
    show(state.k + stride);
    if (state.k === steps.length - 1) stop();
  }, calm.matches ? 600 : 80);
}

function fromAddress() {
  const found = new URLSearchParams(window.location.hash.slice(1)).get("step");
  const step = found === null ? steps[steps.length - 1] : Number(found);
  return nearest(Number.isFinite(step) ? step : 0);
}

function pathRows() {
  return [["step", "optimizer", "x", "y", "height"],
          ...lanes.flatMap((lane) => lane.steps.map((step, row) => [
            step, lane.name, ...pairOf(lane.w, row).map((v) => exact(v, isWide([lane.w]))),
            exact(valuesOf(lane.values)[row], isWide([lane.values]))]))];
}

function dragged(element, move) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button === 0) move(event);
  });
  element.addEventListener("pointermove", (event) => {
    if (event.buttons === 1) move(event);
  });
}

function listen() {
  get("first").addEventListener("click", () => goTo(0));
  get("back").addEventListener("click", () => goTo(state.k - 1));
  get("next").addEventListener("click", () => goTo(state.k + 1));
  get("last").addEventListener("click", () => goTo(steps.length - 1));
  get("play").addEventListener("click", play);
  get("slider").addEventListener("input", () => goTo(Number(get("slider").value)));
  get("csv").addEventListener("click", () => saved(pathRows(), "race.csv"));
  window.addEventListener("resize", redraw);
  window.addEventListener("hashchange", () => goTo(fromAddress()));
  document.addEventListener("keydown", (event) => {
    if (event.target === get("slider") || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = {ArrowLeft: state.k - 1, ArrowRight: state.k + 1, Home: 0, End: steps.length - 1};
    if (event.key in to) {
      event.preventDefault();
      goTo(to[event.key]);
    }
  });
  dragged(get("paths"), picked);
  dragged(get("chart"), scrub);
}

async function begin() {
  get("note").textContent = words.note;
  get("marks").textContent = ["Ring: start", ...words.minima.length ? ["star: minimum"] : [],
                              ...words.saddles.length ? ["cross: saddle"] : []].join(", ")
    + ". Click a path to go to that step.";
  bytes = await unpacked();
  measured();
  get("columns").hidden = false;
  get("slider").max = steps.length - 1;
  state.k = fromAddress();
  drawNames();
  drawCards();
  listen();
  redraw();
}

begin().catch((error) => {
  get("trouble").hidden = false;
  get("trouble").textContent = `${error.message} Where everyone ended is in the table below.`;
});
