// The page of a run. Nothing is computed about the training here: every number was recorded, and
// the lines of the rule were read off its source by minigrad; the script only picks the numbers of
// a step and a weight. Names from the user's program reach the page as text only.

let timer = null; // while playing

// --- the run -------------------------------------------------------------------------------------

let runParts = [], historyParts = [], cards = [];

function drawRun() {
  const box = get("run"), position = () => words.positions[state.k];
  box.replaceChildren();
  runParts = [];
  const add = (label, number, options) => {
    const values = Array.from(valuesOf(number));
    runParts.push(curveRow(box, label, all, values, options, () => short(values[position()], 4)));
  };
  add("loss", words.loss, {height: words.seen ? 150 : 40, log: true});
  drawHeat(box);
  add("grad norm", words.norm, {height: 56, log: true, kind: "g"});
  words.lr.forEach((number, j) => {
    add(words.lr.length > 1 ? `lr, group ${j}` : "lr", number, {height: 40});
  });
  runParts.push(cursorOf(box));
}

function gradRange() {
  let low = Infinity, high = -Infinity;
  for (const number of words.sizes) {
    for (const v of valuesOf(number)) {
      if (Number.isFinite(v) && v > 0) {
        low = Math.min(low, Math.log10(v));
        high = Math.max(high, Math.log10(v));
      }
    }
  }
  return low > high ? [-1, 0] : [low, Math.max(high, low + 1e-9)];
}

function drawHeat(box) {
  const title = made("div", "wide"), width = Math.max(60, box.clientWidth - GUTTER);
  const [low, high] = gradRange(), bar = made("span", "bar");
  bar.style.background = `linear-gradient(to right, ${mixed(PURPLE, 0.06)}, ${mixed(PURPLE, 1)})`;
  const key = (colour, text) => {
    const square = made("span", "key");
    square.style.background = mixed(colour, 1);
    return [square, text];
  };
  title.append("size of the gradients (rms), log scale: ", short(10 ** low, 2), bar,
               short(10 ** high, 2), ...key(ZERO, "zero"), ...key(NONE, "none"),
               ...key(WRONG, "not finite"));
  box.append(title);
  parameters.forEach((p, row) => {
    const head = made("div", "head row"), button = made("button", "", p.name);
    button.type = "button";
    button.title = `choose ${p.name}`;
    button.addEventListener("click", () => choose(row, 0));
    head.append(button);
    const plot = made("div", "plot heat"), canvas = made("canvas");
    canvas.setAttribute("role", "img");
    plot.append(canvas);
    box.append(head, plot);
    heatRow(sized(canvas, width, 14), valuesOf(words.sizes[row]), width, low, high);
    runParts.push(() => {
      button.setAttribute("aria-pressed", String(row === state.p));
      const value = valuesOf(words.sizes[row])[words.positions[state.k]];
      canvas.setAttribute("aria-label", `size of the gradient of ${p.name} over the steps; now `
                          + (Number.isNaN(value) ? "none" : short(value, 3)));
    });
  });
  box.append(made("div", "wide"));
}

function heatRow(pen, values, width, low, high) {
  all.forEach((step, j) => {
    const v = values[j];
    const left = j ? across((all[j - 1] + step) / 2, width) : 0;
    const right = j + 1 < all.length ? across((all[j + 1] + step) / 2, width) : width;
    if (Number.isNaN(v)) pen.fillStyle = mixed(NONE, 1);
    else if (!Number.isFinite(v)) pen.fillStyle = mixed(WRONG, 1);
    else if (v === 0) pen.fillStyle = mixed(ZERO, 1);
    else pen.fillStyle = mixed(PURPLE, 0.06 + 0.94 * (Math.log10(v) - low) / (high - low));
    pen.fillRect(left, 0, Math.max(1, right - left + 0.5), 14);
  });
}

// --- every number --------------------------------------------------------------------------------

// How a parameter is laid out: rows of cells. A vector goes on in the next row.
function layoutOf(p, room) {
  const shape = parameters[p].shape, size = sizes[p];
  const columns = shape.length > 1 ? size / shape[0] || 1 : Math.min(size, 32) || 1;
  const rows = Math.ceil(size / columns), longest = shape.length > 1 ? rows : 1;
  const widest = Math.floor(room / parameters[p].grids.length - 18);
  const cell = Math.max(2, Math.min(12, Math.floor(widest / columns), Math.floor(240 / longest)));
  return {columns, rows, cell, gap: cell > 4 ? 1 : 0};
}

function drawCards() {
  const box = get("cards");
  box.replaceChildren();
  cards = parameters.map((parameter, p) => {
    const element = made("div", "card"), title = made("h3", "", `${parameter.name} `);
    const about = made("span");
    title.append(about);
    const grids = made("div", "grids");
    element.append(title, grids);
    box.append(element);
    const pictures = parameter.grids.map((quantity) => gridOf(p, quantity, grids));
    return {element, about, pictures, stale: true};
  });
}

function gridOf(p, quantity, box) {
  const figure = made("figure"), caption = made("figcaption"), scale = made("span");
  const canvas = made("canvas");
  caption.append(made("b", "", quantity), " ", scale);
  const form = layoutOf(p, get("cards").clientWidth - 24);
  canvas.style.width = `${form.columns * form.cell + 2}px`;
  canvas.tabIndex = sizes[p] ? 0 : -1;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "grid of numbers");
  figure.append(caption, canvas);
  box.append(figure);
  const place = (event) => {
    const frame = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - frame.left - 1) / form.cell);
    const row = Math.floor((event.clientY - frame.top - 1) / form.cell);
    const i = row * form.columns + column;
    return column >= 0 && column < form.columns && row >= 0 && i < sizes[p] ? i : null;
  };
  canvas.addEventListener("pointermove", (event) => tell(event, p, quantity, place(event)));
  canvas.addEventListener("pointerleave", () => { get("tip").hidden = true; });
  canvas.addEventListener("click", (event) => {
    if (place(event) !== null) choose(p, place(event));
  });
  canvas.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -form.columns, ArrowDown: form.columns};
    if (!(event.key in by) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = state.p === p ? state.i : -by[event.key], to = from + by[event.key];
    if (to >= 0 && to < sizes[p]) choose(p, to);
  });
  canvas.addEventListener("focus", () => {
    if (state.p !== p) choose(p, 0);
  });
  return {canvas, scale, quantity, form};
}

function tell(event, p, quantity, i) {
  const tip = get("tip");
  tip.hidden = i === null;
  if (i === null) return;
  const ref = parameters[p].quantities[quantity], none = isNone(p, quantity, state.k);
  const value = none ? "none" : exact(valueOf(ref, state.k, i), isWide(ref));
  tip.textContent = `${nameOf(p, i)}  ${quantity} ${value}`;
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 6)}px`;
  tip.style.top = `${Math.min(event.clientY + 16, window.innerHeight - tip.offsetHeight - 6)}px`;
}

// Is there no such number at this step: no gradient, or no update that would have made it?
function isNone(p, quantity, k) {
  const {none, lines, quantities, fixed} = parameters[p];
  if (quantity === "grad") return none.includes(k);
  if (quantity === "data" || lines[k] !== -1 || !sizes[p]) return false;
  return Number.isNaN(valueOf(quantities[quantity] ?? fixed[quantity], k, 0));
}

function squares(pen, colours, form, side) {
  colours.forEach((colour, i) => {
    pen.fillStyle = mixed(colour, 1);
    pen.fillRect(1 + i % form.columns * form.cell, 1 + Math.floor(i / form.columns) * form.cell,
                 side, side);
  });
}

// Many small cells: as an image of a pixel each, drawn larger.
function pixels(pen, colours, form) {
  const small = made("canvas");
  small.width = form.columns;
  small.height = form.rows;
  const brush = small.getContext("2d"), image = brush.createImageData(form.columns, form.rows);
  colours.forEach((colour, i) => image.data.set([...colour, 255], 4 * i));
  brush.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 1, 1, form.columns * form.cell, form.rows * form.cell);
}

function drawGrid(p, picture) {
  const {canvas, scale, quantity, form} = picture, {k} = state;
  const ref = parameters[p].quantities[quantity], n = sizes[p];
  let largest = 0, wrong = 0;
  for (let i = 0; i < n; i++) {
    const size = Math.abs(valueOf(ref, k, i));
    if (!Number.isFinite(size)) wrong++;
    else if (size > largest) largest = size;
  }
  const alarm = wrong ? `${wrong} not finite` : "";
  const texts = wrong && wrong === n ? [alarm] : [short(largest, 3), alarm];
  scale.textContent = isNone(p, quantity, k) ? "none" : texts.filter(Boolean).join(", ");
  const pen = sized(canvas, form.columns * form.cell + 2, form.rows * form.cell + 2);
  const side = form.cell - form.gap, none = isNone(p, quantity, k);
  const colours = Array.from({length: n}, (_, i) => {
    const value = valueOf(ref, k, i);
    if (none) return NONE;
    if (!Number.isFinite(value)) return WRONG;
    if (!value || !largest) return form.gap ? PALE : ZERO;
    return blend(value > 0 ? BLUE : ORANGE, 0.1 + 0.9 * Math.abs(value) / largest);
  });
  if (form.gap) squares(pen, colours, form, side);
  else if (n) pixels(pen, colours, form);
  let chosen = "";
  if (p === state.p && n) {
    pen.lineWidth = 2; // in black
    pen.strokeRect(1 + state.i % form.columns * form.cell - 0.5,
                   1 + Math.floor(state.i / form.columns) * form.cell - 0.5, side + 1, side + 1);
    chosen = `; ${nameOf(p, state.i)} is ${exact(valueOf(ref, k, state.i), isWide(ref))}`;
  }
  canvas.setAttribute("aria-label", `${quantity} of ${parameters[p].name}, ${n} numbers, largest `
                      + `${short(largest, 3)}${chosen}`);
}

// Draws the cards in sight; the others when they come into sight.
function drawInSight() {
  cards.forEach((card, p) => {
    const frame = card.element.getBoundingClientRect();
    if (!card.stale || frame.bottom < -200 || frame.top > window.innerHeight + 200) return;
    card.stale = false;
    const ratio = valuesOf(words.ratios[p])[words.positions[state.k]];
    card.about.textContent = `(${parameters[p].shape.join(", ")})  |delta| / |data| `
                           + (Number.isFinite(ratio) ? short(ratio, 2) : "-");
    card.element.classList.toggle("chosen", p === state.p);
    for (const picture of card.pictures) drawGrid(p, picture);
  });
}

// --- one weight, one step ------------------------------------------------------------------------

// A text with its slots filled. Negative numbers get brackets after an operator and before **.
function put(text, values) {
  return text.split(SLOT).map((part, j, parts) => {
    if (j % 2 === 0) return part;
    const number = values[Number(part)];
    const bare = /(^|[(\[])$|, $/.test(parts[j - 1]) && !parts[j + 1].startsWith("**");
    return number.startsWith("-") && !bare ? `(${number})` : number;
  }).join("");
}

function lineOf(line, values, weights) {
  const element = made("div", line.target ? "line" : "line since");
  const source = line.target ? (line.source ? `${line.target} = ${line.source}` : line.target)
                             : `since ${line.source}`;
  const way = line.because || "";  // t == 1, or (convention='torch')
  const because = way && !way.startsWith("(") ? `as ${way}` : way;
  element.append(made("code", "source", source),
                 made("span", "aside", [line.equation, because, line.note].filter(Boolean)
                      .join(", ").replace(", (", " (")));
  const code = made("code", "numbers"), shown = put(line.shown || "", weights);
  const before = put(line.numbers || "", values);
  if (line.target) {
    code.append(before && before !== shown ? `= ${before} = ` : "= ", made("b", "", shown));
  } else if (before) {
    code.textContent = before;
  }
  if (code.textContent) element.append(code);
  return element;
}

function workedLines(p, number) {
  const parameter = parameters[p], refs = parameter.slots[String(number)];
  let start = 0;
  return words.lines[number].map((line) => {
    const count = 1 + Math.max(-1, ...[...`${line.numbers || ""}${line.shown || ""}`
      .matchAll(new RegExp(SLOT, "g"))].map((m) => Number(m[1])));
    const raw = refs.slice(start, start + count).map((ref) => [valueOf(ref, state.k, state.i),
                                                               isWide(ref)]);
    start += count;
    const values = raw.map(([value]) => short(value));
    const weights = raw.map(([value, wide]) => short(value, line.weights ? (wide ? 12 : 7) : 6));
    return lineOf(line, values, weights);
  });
}

function tableOf(p) {
  const table = made("table"), parameter = parameters[p];
  for (const [name, ref] of Object.entries({...parameter.quantities, ...parameter.fixed})) {
    const line = table.insertRow(), value = valueOf(ref, state.k, state.i);
    line.insertCell().textContent = name;
    line.insertCell().textContent = isNone(p, name, state.k) ? "none" : exact(value, isWide(ref));
  }
  return table;
}

function drawWorked() {
  const {k, p, i} = state, parameter = parameters[p], box = get("worked");
  get("parameter").value = String(p);
  const index = indexOf(p, i).join(", ");
  if (document.activeElement !== get("index")) get("index").value = index;
  get("index").disabled = parameter.shape.length === 0;
  box.replaceChildren();
  if (!sizes[p]) {
    box.append(made("p", "", `${parameter.name} is empty: it has no numbers.`));
    return;
  }
  const fixed = Object.entries(parameter.fixed).map(([name, ref]) => [name, valueOf(ref, k, i)]);
  const number = parameter.lines[k];
  const title = made("p");
  const remark = words.remarks[k] ? `; ${words.remarks[k]}` : "";
  title.append(made("b", "", nameOf(p, i)), `, step ${steps[k]}, ${words.kind}${remark}`);
  box.append(title);
  if (number === -1) {
    box.append(made("p", "", parameter.reasons[parameter.still[k]]));
  } else {
    box.append(made("p", "given", fixed.filter(([, value]) => !Number.isNaN(value))
      .map(([name, value]) => `${name} ${short(value)}`).join("   ")));
    if (number < -1) {
      box.append(made("p", "", `The lines of the rule cannot be shown: `
                      + `${words.troubles[-2 - number]}. Its names stood for:`), tableOf(p));
    } else {
      box.append(...workedLines(p, number));
    }
  }
  const data = valueOf(parameter.quantities.data, k, i), wide = isWide(parameter.quantities.data);
  const delta = valueOf(parameter.quantities.delta, k, i);
  const ends = `data ${exact(data, wide)}, delta ${short(delta)}`;
  const next = k + 1 === steps.length ? "" : `, data at step ${steps[k + 1]} `
    + exact(valueOf(parameter.quantities.data, k + 1, i), wide);
  box.append(made("div", "result", ends + next));
  if (number > -2) {
    const more = made("details");
    more.open = drawWorked.open;
    more.addEventListener("toggle", () => { drawWorked.open = more.open; });
    more.append(made("summary", "", "Every name, as recorded"), tableOf(p));
    box.append(more);
  }
}
drawWorked.open = false;

function drawHistory() {
  const {p, i} = state, parameter = parameters[p], box = get("history");
  box.replaceChildren();
  historyParts = [];
  if (sizes[p]) {
    for (const quantity of parameter.grids) {
      const ref = parameter.quantities[quantity];
      const values = steps.map((_, k) => valueOf(ref, k, i));
      historyParts.push(curveRow(box, quantity, steps, values,
                                 {height: 58, kind: quantity === "data" ? "" : "g"},
                                 () => isNone(p, quantity, state.k) ? "none"
                                                                    : short(values[state.k], 5)));
    }
  }
  const ratios = Array.from(valuesOf(words.ratios[p]));
  historyParts.push(curveRow(
    box, "ratio", all, ratios,
    {height: 58, log: true, title: "|delta| / |data| of the whole parameter"},
    () => short(ratios[words.positions[state.k]], 3)));
  historyParts.push(cursorOf(box));
}

// --- what is shown -------------------------------------------------------------------------------

function refresh() {
  const {k} = state, at = words.positions[k], step = steps[k];
  const loss = valuesOf(words.loss)[at];
  get("slider").value = k;
  get("slider").setAttribute("aria-valuetext", `step ${step} of ${all[all.length - 1]}`);
  get("where").textContent = `step ${step} of ${all[all.length - 1]}`
    + (words.seen ? `  loss ${short(loss, 4)}` : "");
  get("first").disabled = get("back").disabled = k === 0;
  get("last").disabled = get("next").disabled = k === steps.length - 1;
  for (const part of [...runParts, ...historyParts]) part();
  for (const card of cards) card.stale = true;
  drawInSight();
  drawWorked();
  const place = indexOf(state.p, state.i).join(",");
  try {
    history.replaceState(null, "", `#step=${step}&p=${encodeURIComponent(parameters[state.p].name)}`
                         + (place ? `&i=${place}` : ""));
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

function choose(p, i) {
  if (p === state.p && i === state.i) return;
  Object.assign(state, {p, i});
  drawHistory();
  refresh();
}

function redraw() {
  drawCards();
  drawRun();
  drawHistory();
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
  const stride = Math.ceil(steps.length / 250); // a whole run in half a minute
  timer = setInterval(() => {
    show(state.k + stride);
    if (state.k === steps.length - 1) stop();
  }, calm.matches ? 600 : 120);
}

function fromAddress() {
  const found = new URLSearchParams(window.location.hash.slice(1));
  const p = Math.max(0, parameters.findIndex((one) => one.name === found.get("p")));
  const parts = (found.get("i") || "").split(",").filter(Boolean).map(Number);
  const step = Number(found.get("step") || steps[steps.length - 1]);
  return {p, i: flatOf(p, parts) || 0, k: nearest(Number.isFinite(step) ? step : 0)};
}

function listen() {
  get("first").addEventListener("click", () => goTo(0));
  get("back").addEventListener("click", () => goTo(state.k - 1));
  get("next").addEventListener("click", () => goTo(state.k + 1));
  get("last").addEventListener("click", () => goTo(steps.length - 1));
  get("play").addEventListener("click", play);
  get("slider").addEventListener("input", () => goTo(Number(get("slider").value)));
  get("parameter").addEventListener("change", () => choose(Number(get("parameter").value), 0));
  get("index").addEventListener("input", () => {
    const i = flatOf(state.p, (get("index").value.match(/-?\d+/g) || []).map(Number));
    get("index").setCustomValidity(i === null ? "there is no such index" : "");
    if (i !== null) choose(state.p, i);
  });
  get("choice").addEventListener("submit", (event) => event.preventDefault());
  get("csv-step").addEventListener("click", () => saved(stepRows(), `step-${steps[state.k]}.csv`));
  get("csv-weight").addEventListener("click", () => saved(weightRows(), "weight.csv"));
  window.addEventListener("scroll", drawInSight, {passive: true});
  window.addEventListener("resize", redraw);
  window.addEventListener("hashchange", () => {
    const {k, p, i} = fromAddress();
    choose(p, i);
    goTo(k);
  });
  document.addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT"].includes(event.target.tagName);
    if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = {ArrowLeft: state.k - 1, ArrowRight: state.k + 1, Home: 0, End: steps.length - 1};
    if (event.key in to) {
      event.preventDefault();
      goTo(to[event.key]);
    }
  });
  scrubbed(get("run"));
  scrubbed(get("history"));
}

async function begin() {
  get("note").textContent = words.note;
  bytes = await unpacked();
  measured();
  get("columns").hidden = false;
  get("slider").max = steps.length - 1;
  parameters.forEach((parameter, p) => {
    const option = made("option", "", parameter.name);
    option.value = p;
    get("parameter").append(option);
  });
  Object.assign(state, fromAddress());
  listen();
  redraw();
}

begin().catch((error) => {
  get("trouble").hidden = false;
  get("trouble").textContent = `${error.message} The last step is in the table below.`;
});
