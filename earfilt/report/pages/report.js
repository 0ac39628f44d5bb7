// Columns come as numbers: of few texts each once, levels in hundredths. Only the rows that can be
// seen are in the document.
const columns = data.columns, total = columns.name.texts.length;
const state = { chosen: [], kind: null, sort: null, up: true, first: -1 };
const HEAD = [["name", "File"], ["status", "Status"], ["said", "Failure"], ["warnings", "Warnings"], ["audio_s", "Audio, s"], ["fs", "Hz"], ["channels", "Channels"],
  ["peak_in_dbfs", "Peak in, dBFS"], ["rms_in_dbfs", "RMS in, dBFS"], ["peak_out_dbfs", "Peak out, dBFS"],
  ["rms_out_dbfs", "RMS out, dBFS"], ["gain_db", "Gain, dB"], ["clipped", "Clipped"], ["seconds", "Time, s"]].filter(([key]) => !columns[key].words || columns[key].words.some(Boolean)); // or nothing is said there
const ROW = 28, SPARE = 12; // pixels; rows beyond those seen

const isNumber = (key) => columns[key].decimals !== undefined || key === "fs";
// What a row has in a column: a number (-Infinity: silence), a text, or null where nothing is known
function value(key, i) {
  const column = columns[key];
  if (column.texts) return column.texts[i];
  const stored = column.values[i];
  if (column.words) return key === "fs" ? (column.words[stored] === "" ? null : +column.words[stored]) : column.words[stored];
  return stored === null ? null : stored === data.silence ? -Infinity : stored / 10 ** column.decimals;
}
function shownValue(key, i) {
  const found = value(key, i);
  if (found === null) return "";
  if (found === -Infinity) return "-∞";
  return columns[key].decimals === undefined ? String(found) : found.toFixed(columns[key].decimals);
}
const thousands = (n) => n.toLocaleString("en");
function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${thousands(Math.floor(minutes / 60))} h ${String(minutes % 60).padStart(2, "0")} min`;
}

// Each text of a column with its count, its number and the first row that has it; a row may have several, one a line
function counted(key) {
  const found = new Map(), { words, values } = columns[key], parts = words.map((word) => (key === "kinds" ? word.split("\n") : [word]));
  values.forEach((k, i) => {
    for (const word of parts[k]) {
      const entry = found.get(word);
      if (entry) entry[1] += 1; else found.set(word, [word, 1, k, i]);
    }
  });
  return [...found.values()].filter(([word]) => word !== "").sort((a, b) => b[1] - a[1]);
}

function totals() {
  const by = new Map(counted("status").map(([word, count]) => [word, count]));
  let audio = 0, files = 0, samples = 0;
  for (let i = 0; i < total; i++) {
    audio += value("audio_s", i) || 0;
    const clipped = value("clipped", i) || 0;
    if (clipped) { files += 1; samples += clipped; }
  }
  const told = [["files", thousands(total)], ["done", thousands(by.get("ok") || 0)], ["skipped", thousands(by.get("skipped") || 0)],
    ["failed", thousands(by.get("failed") || 0)], ["of audio", duration(audio)], ["clipped files", thousands(files)], ["clipped samples", thousands(samples)]];
  $("totals").replaceChildren(...told.map(([name, said]) => {
    const group = element("div");
    group.append(element("dt", {}, name), element("dd", {}, said));
    return group;
  }));
}

// Each group with its count and an example; choosing it shows its rows
function groups(section, table, key) {
  const found = counted(key);
  $(section).hidden = !found.length;
  $(table).replaceChildren(...found.slice(0, 50).map(([word, count, k, example]) => {
    const row = element("tr"), said = element("td"), button = element("button", { type: "button" }, word);
    button.addEventListener("click", () => {
      all();
      if (key === "reason") $("reason").value = k; else state.kind = word;
      choose();
      $("frame").scrollIntoView();
    });
    said.append(button, element("span", { class: "soft" }, ` e.g. ${columns.name.texts[example]}`));
    row.append(element("td", { class: "number" }, thousands(count)), said);
    return row;
  }));
  if (found.length > 50) {
    const row = element("tr");
    row.append(element("td", {}), element("td", { class: "soft" }, `and ${thousands(found.length - 50)} more kinds`));
    $(table).append(row);
  }
}

function histogram(title, unit, bins) { // bins: label, count, and what stands below their left edge, or below all where nothing does
  const W = 420, H = 180, most = bins.reduce((top, bin) => Math.max(top, bin[1]), 0);
  const svg = element("svg", { class: "panel", viewBox: `0 0 ${W} ${H}`, role: "img",
    "aria-label": `${title}: ${bins.filter((bin) => bin[1]).map(([label, count]) => `${label} ${unit}: ${count} files`).join(", ") || "none"}` });
  const wide = (W - LEFT - RIGHT) / Math.max(1, bins.length), up = (v) => TOP + (H - TOP - BOTTOM) * (1 - v / Math.max(1, most));
  for (const t of steps(0, Math.max(1, most), 4).filter(Number.isInteger)) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: up(t), y2: up(t) }),
      element("text", { x: LEFT - 6, y: up(t) + 4, "text-anchor": "end" }, thousands(t)));
  }
  const every = Math.ceil(bins.length * 36 / (W - LEFT - RIGHT));
  bins.forEach(([label, count, edge], k) => {
    const x = LEFT + k * wide;
    const bar = element("rect", { class: "bar", x: x + 1, width: Math.max(1, wide - 2), y: up(count), height: up(0) - up(count), "data-count": count, "data-bin": label });
    bar.append(element("title", {}, `${label} ${unit}: ${thousands(count)} files`));
    svg.append(bar);
    const below = { y: H - BOTTOM + 16, "text-anchor": "middle" };
    if (edge === undefined) svg.append(element("text", { ...below, x: x + wide / 2 }, label));
    else if (k % every === 0) svg.append(element("text", { ...below, x }, edge));
  });
  svg.append(element("text", { x: LEFT, y: 14 }, `${title}, files by ${unit}`));
  return svg;
}
function levels(key, title) {
  const found = [], STEP = 3;
  let silent = 0;
  for (const i of state.chosen) {
    const level = value(key, i);
    if (level === -Infinity) silent += 1; else if (level !== null) found.push(Math.floor(level / STEP));
  }
  const low = found.reduce((a, b) => Math.min(a, b), Infinity), high = found.reduce((a, b) => Math.max(a, b), -Infinity);
  const start = Math.max(low, high - 39), counts = new Map(); // what is softer than 120 dB below the loudest is one bin
  for (const bin of found) counts.set(Math.max(bin, start), (counts.get(Math.max(bin, start)) || 0) + 1);
  const bins = silent ? [["−∞", silent]] : [];
  if (found.length) for (let bin = start; bin <= high; bin++) {
    const softer = bin === start && low < start, [from, to] = [bin * STEP, bin * STEP + STEP].map((level) => String(level).replace("-", "−"));
    bins.push([softer ? `below ${to}` : `${from} to ${to}`, counts.get(bin) || 0, softer ? "<" : from]);
  }
  return histogram(title, "dBFS", bins);
}
function clipping() {
  const labels = ["0", "1 to 9", "10 to 99", "100 to 999", "1000 to 9999", "10,000 to 99,999", "100,000 or more"];
  const edges = [undefined, "1", "10", "100", "1k", "10k", "100k"], counts = labels.map(() => 0);
  for (const i of state.chosen) {
    const clipped = value("clipped", i);
    if (clipped !== null) counts[clipped === 0 ? 0 : Math.min(6, 1 + Math.floor(Math.log10(clipped) + 1e-12))] += 1;
  }
  return histogram("Clipping", "clipped samples", labels.map((label, k) => [label, counts[k], edges[k]]));
}
function drawings() {
  $("drawings").replaceChildren(levels("rms_in_dbfs", "RMS in"), levels("rms_out_dbfs", "RMS out"),
    levels("peak_in_dbfs", "Peak in"), levels("peak_out_dbfs", "Peak out, before clipping"), clipping());
}

function figure() {
  const curves = data.curves || [];
  $("filter").hidden = !curves.length && !data.filters.length;
  if (curves.length) {
    const freqs = data.freqs, f0 = freqs[0], f1 = freqs[freqs.length - 1], W = Math.max(320, Math.min(900, $("figure").clientWidth || 760)), H = 280;
    const seen = curves.flatMap((c) => c.magnitude_db.filter((v) => v !== null));
    let high = seen.reduce((a, b) => Math.max(a, b)), low = Math.max(high - 80, seen.reduce((a, b) => Math.min(a, b)));
    const room = Math.max(0.5, 0.06 * (high - low));
    high += room; low -= room;
    const across = (hz) => LEFT + (W - LEFT - RIGHT) * Math.log(hz / f0) / Math.log(f1 / f0);
    const up = (v) => TOP + (H - TOP - BOTTOM) * (high - v) / (high - low);
    const svg = element("svg", { class: "panel", viewBox: `0 0 ${W} ${H}`, role: "img",
      "aria-label": `magnitude in dB against frequency in hertz of ${curves.map((c) => c.name).join(", ")}` });
    const inside = axes(svg, { W, H, low, high, across, up, f0, f1, title: "Magnitude, dB" });
    const colours = COLOURS[dark.matches ? "dark" : "light"];
    curves.forEach((curve, k) => {
      const look = { class: "curve", stroke: colours[k % 6], "stroke-dasharray": DASHES[k % 5] };
      inside.append(element("path", { ...look, "data-curve": k, d: pathThrough(curve.magnitude_db.map((v, i) => (v === null ? null : [across(freqs[i]), up(v)]))) }));
      if (k === 0) for (const [hz, db] of curve.points) if (hz >= f0 && hz <= f1) inside.append(element("circle", { class: "point", cx: across(hz), cy: up(db), r: 3, stroke: look.stroke }));
    });
    $("figure").replaceChildren(svg);
    $("legend").replaceChildren(...curves.map((curve, k) => {
      const item = element("li"), sample = element("svg", { width: 28, height: 10, "aria-hidden": "true" });
      sample.append(element("line", { x1: 0, y1: 5, x2: 28, y2: 5, "stroke-width": 2.5, stroke: colours[k % 6], "stroke-dasharray": DASHES[k % 5] }));
      item.append(sample, ` ${curve.name}`);
      return item;
    }));
  }
  const head = element("tr");
  for (const [title, kind] of [["Filter", ""], ["Hz", "number"], ["Files", "number"], ["Deviation at most, dB", "number"], ["at, Hz", "number"]]) head.append(element("th", { class: kind }, title));
  $("deviations").replaceChildren(head, ...data.filters.map((one) => {
    const row = element("tr");
    row.append(element("td", {}, one.filter));
    for (const said of [one.fs, thousands(one.files), one.deviation_db === null ? "–" : one.deviation_db.toFixed(4), one.at_hz === null ? "–" : +one.at_hz.toPrecision(6)])
      row.append(element("td", { class: "number" }, String(said)));
    return row;
  }));
}

function choose() {
  const words = $("search").value.toLowerCase(), status = $("status").value, reason = $("reason").value, clipped = $("clipped").checked;
  const says = (key) => columns[key].words.map((word) => word.toLowerCase().includes(words));
  const failure = says("said"), warning = says("warnings"), found = [];
  const ofKind = columns.kinds.words.map((word) => word.split("\n").includes(state.kind));
  for (let i = 0; i < total; i++) {
    if (status !== "" && columns.status.values[i] !== +status) continue;
    if (reason !== "" && columns.reason.values[i] !== +reason) continue;
    if (clipped && !columns.clipped.values[i]) continue;
    if (state.kind !== null && !ofKind[columns.kinds.values[i]]) continue;
    if (words && !columns.name.texts[i].toLowerCase().includes(words) && !failure[columns.said.values[i]] && !warning[columns.warnings.values[i]]) continue;
    found.push(i);
  }
  state.chosen = found;
  $("count").textContent = `${thousands(found.length)} of ${thousands(total)} files${state.kind === null ? "" : `, warned: ${state.kind}`}`;
  order();
  drawings();
}
function order() {
  const key = state.sort, way = state.up ? 1 : -1;
  if (key === null) state.chosen.sort((a, b) => a - b);
  else {
    const keys = new Map(); // what is not known is last either way
    for (const i of state.chosen) { const found = value(key, i); keys.set(i, found === "" ? null : found); }
    const compare = isNumber(key) ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : new Intl.Collator("en", { numeric: true }).compare;
    state.chosen.sort((i, k) => {
      const a = keys.get(i), b = keys.get(k);
      return a === null || b === null ? (a === null) - (b === null) || i - k : way * compare(a, b) || i - k;
    });
  }
  $("frame").scrollTop = 0;
  show(true);
}
function sortBy(key) {
  if (state.sort === key && !state.up) state.sort = null; // up, down, as they came
  else { state.up = state.sort !== key; state.sort = key; }
  head();
  order();
}

function head() {
  const row = element("tr");
  for (const [key, title] of HEAD) {
    const now = state.sort === key, cell = element("th", { scope: "col", "aria-sort": !now ? "none" : state.up ? "ascending" : "descending", "data-key": key });
    if (isNumber(key)) cell.classList.add("number");
    const button = element("button", { type: "button" }, `${title}${!now ? "" : state.up ? " ▲" : " ▼"}`);
    button.addEventListener("click", () => { sortBy(key); document.querySelector(`th[data-key=${key}] button`).focus({ preventScroll: true }); });
    cell.append(button);
    row.append(cell);
  }
  document.querySelector("#rows thead").replaceChildren(row);
}
function space(rows) {
  const row = element("tr", { "aria-hidden": "true" }), cell = element("td", { class: "space", colspan: HEAD.length });
  cell.style.height = `${rows * ROW}px`;
  row.append(cell);
  return row;
}
function show(anew) {
  const count = state.chosen.length, seen = Math.ceil($("frame").clientHeight / ROW);
  const first = Math.max(0, Math.min(count - seen, Math.floor($("frame").scrollTop / ROW)) - SPARE), last = Math.min(count, first + seen + 2 * SPARE);
  if (!anew && Math.abs(first - state.first) < SPARE / 2) return;
  state.first = first;
  const rows = state.chosen.slice(first, last).map((i, k) => {
    const row = element("tr", { "aria-rowindex": first + k + 2, "data-row": i });
    for (const [key] of HEAD) {
      const said = shownValue(key, i), cell = element("td", isNumber(key) ? { class: "number" } : {}, said);
      if (said.length > 30) cell.title = said;
      row.append(cell);
    }
    return row;
  });
  $("rows").setAttribute("aria-rowcount", count + 1);
  document.querySelector("#rows tbody").replaceChildren(space(first), ...rows, space(count - last));
}
function all() {
  for (const id of ["search", "status", "reason"]) $(id).value = "";
  $("clipped").checked = false;
  state.kind = null;
}

document.querySelector("h1").textContent = data.title;
totals();
groups("failures", "reasons", "reason");
groups("warned", "warnings", "kinds");
for (const key of ["status", "reason"]) fill($(key), [["", "any"], ...counted(key).map(([word, count, k]) => [k, `${word} (${thousands(count)})`])]);
let waiting = 0;
$("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 150); });
for (const id of ["status", "reason", "clipped"]) $(id).addEventListener("change", choose);
$("all").addEventListener("click", () => { all(); choose(); });
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
$("frame").addEventListener("scroll", () => requestAnimationFrame(() => show(false)));
window.addEventListener("resize", () => { figure(); show(true); });
dark.addEventListener("change", figure);
head();
figure();
choose();
