const UNITS = { magnitude: "dB", difference: "dB", phase: "rad", delay: "ms" };
const curves = data.curves;
const state = { chosen: new Set(data.chosen), at: null };

const style = (k) => {
  const n = [...state.chosen].indexOf(k); // -1: not drawn
  return n < 0 ? { stroke: "none", dash: "" }
    : { stroke: COLOURS[dark.matches ? "dark" : "light"][n % 6], dash: DASHES[Math.floor(n / 6 + n) % 5] };
};
const shown = () => [...state.chosen].map((k) => [k, curves[k]]);

function values(curve, panel) {
  if (panel === "magnitude") return curve.magnitude_db;
  if (panel === "phase") return curve.phase_rad;
  if (panel === "delay") return curve.group_delay_ms;
  const other = curves[+$("reference").value];
  return curve.magnitude_db.map((value, i) =>
    value === null || other.magnitude_db[i] === null ? null : value - other.magnitude_db[i]);
}

function swatch(k) {
  const svg = element("svg", { width: 28, height: 10, "aria-hidden": "true" });
  const { stroke, dash } = style(k);
  svg.append(element("line", { x1: 0, y1: 5, x2: 28, y2: 5, stroke, "stroke-width": 2.5, "stroke-dasharray": dash }));
  return svg;
}

function list() {
  const words = $("search").value.toLowerCase(), start = $("start").value, end = $("end").value;
  const rows = curves.map((curve, k) => {
    const fits = (!start || curve.start === start) && (!end || curve.end === end) &&
      curve.name.toLowerCase().includes(words);
    if (!fits && !state.chosen.has(k)) return null;
    const label = element("label"), box = element("input", { type: "checkbox", value: k });
    box.checked = state.chosen.has(k);
    box.addEventListener("change", () => { box.checked ? state.chosen.add(k) : state.chosen.delete(k); draw(); });
    label.append(box, swatch(k), element("span", {}, curve.name));
    if (curve.about) label.title = curve.about;
    const item = element("li");
    item.append(label);
    return item;
  });
  $("ears").replaceChildren(...rows.filter(Boolean));
}

function levels(panel, drawn) {
  const seen = [];
  for (const [, curve] of drawn) {
    const found = values(curve, panel), [from, to] = curve.range_hz || [0, Infinity];
    found.forEach((v, i) => { if (v !== null && data.freqs[i] >= from && data.freqs[i] <= to) seen.push(v); });
    if (panel === "magnitude") seen.push(...curve.points.map((p) => p[1]));
  }
  if (!seen.length) return [-1, 1];
  let high = seen.reduce((a, b) => Math.max(a, b)), low = seen.reduce((a, b) => Math.min(a, b));
  if (panel === "magnitude") low = Math.max(low, high - 80);
  const room = Math.max(panel === "delay" ? 0.05 : 0.5, 0.06 * (high - low));
  return [low - room, high + room];
}

let W = 760; // the width that there is
const f0 = data.freqs[0], f1 = data.freqs[data.freqs.length - 1];
const across = (hz) => LEFT + (W - LEFT - RIGHT) * Math.log(hz / f0) / Math.log(f1 / f0);
const nearest = (x) => {
  const hz = f0 * (f1 / f0) ** ((x - LEFT) / (W - LEFT - RIGHT));
  let best = 0;
  data.freqs.forEach((f, i) => { if (Math.abs(Math.log(f / hz)) < Math.abs(Math.log(data.freqs[best] / hz))) best = i; });
  return best;
};

function panelOf(panel, drawn) {
  const H = panel === "magnitude" ? 380 : 250;
  const svg = element("svg", { class: "panel", viewBox: `0 0 ${W} ${H}`, tabindex: 0, role: "img", "data-panel": panel,
    "aria-label": `${panel} in ${UNITS[panel]} against frequency in hertz of ${drawn.map(([, c]) => c.name).join(", ") || "no curve"}` });
  const [low, high] = levels(panel, drawn);
  const up = (v) => TOP + (H - TOP - BOTTOM) * (high - v) / (high - low);
  const inside = axes(svg, { W, H, low, high, across, up, f0, f1, title: `${panel}, ${UNITS[panel]}` });
  for (const [k, curve] of drawn) {
    const { stroke, dash } = style(k), found = values(curve, panel), [from, to] = curve.range_hz || [0, Infinity];
    for (const published of [true, false]) {
      const path = pathThrough(found.map((v, i) => {
        const inRange = data.freqs[i] >= from && data.freqs[i] <= to;
        // the last point of a part is the first one of the next
        const joins = inRange !== published && i > 0 && (data.freqs[i - 1] >= from && data.freqs[i - 1] <= to) === published;
        return v === null || (inRange !== published && !joins) ? null : [across(data.freqs[i]), up(v)];
      }));
      if (path) inside.append(element("path", { class: "curve", d: path, stroke, "stroke-dasharray": dash,
        "data-curve": k, opacity: published ? 1 : 0.45 }));
    }
    if (panel === "magnitude") for (const [hz, db] of curve.points)
      if (hz >= f0 && hz <= f1) inside.append(element("circle", { class: "point", cx: across(hz), cy: up(db), r: 3, stroke }));
  }
  if (state.at !== null) svg.append(element("line", { class: "cursor", x1: across(data.freqs[state.at]), x2: across(data.freqs[state.at]), y1: TOP, y2: H - BOTTOM }));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    move(nearest((event.clientX - box.left) * W / box.width));
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -20, PageUp: 20 }[event.key];
    const ends = { Home: 0, End: data.freqs.length - 1 }[event.key];
    if (step === undefined && ends === undefined) return;
    event.preventDefault();
    move(ends !== undefined ? ends : Math.min(data.freqs.length - 1, Math.max(0, (state.at ?? 0) + step)));
  });
  return svg;
}

function move(at) {
  state.at = at;
  for (const svg of $("panels").children) {
    let line = svg.querySelector(".cursor");
    if (!line) { line = element("line", { class: "cursor", y1: TOP, y2: svg.viewBox.baseVal.height - BOTTOM }); svg.append(line); }
    line.setAttribute("x1", across(data.freqs[at]));
    line.setAttribute("x2", across(data.freqs[at]));
  }
  table();
}

const panels = () => [...document.querySelectorAll("[name=panel]:checked")].map((box) => box.value);
function table() { // the legend; with the values where the reader points
  const head = element("tr"), rows = [], read = state.at === null ? [] : panels();
  if (read.length) head.append(element("th", {}, spoken(data.freqs[state.at])));
  for (const panel of read) head.append(element("th", { class: "number" }, `${panel}, ${UNITS[panel]}`));
  for (const [k, curve] of shown()) {
    const row = element("tr", { "data-curve": k });
    const name = element("td");
    name.append(swatch(k), " ", curve.name);
    row.append(name);
    for (const panel of read) {
      const value = values(curve, panel)[state.at];
      row.append(element("td", { class: "number" }, value === null ? "–" : value.toFixed(panel === "delay" ? 4 : 3)));
    }
    rows.push(row);
  }
  $("values").replaceChildren(head, ...rows);
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
function command() {
  const drawn = panels(), plain = drawn.length === 1 && drawn[0] === "magnitude";
  const first = drawn.includes("difference") ? +$("reference").value : null; // differences are to it
  const asked = shown().sort(([a], [b]) => (b === first) - (a === first))
    .filter(([, c]) => c.command).map(([, c]) => c.command);
  const more = plain ? [] : drawn.map((panel) => `--panel ${panel}`);
  $("command").textContent = asked.length
    ? ["earfilt response", ...asked.map((c) => `-f ${c}`), ...(data.fs === 48000 ? [] : [`--fs ${data.fs}`]), ...(data.options ? [data.options] : []), ...more, "-o ears.png"].join(" ")
    : "earfilt filters";
}

function draw() {
  W = Math.max(320, Math.min(900, $("panels").clientWidth || 760));
  const drawn = shown();
  fill($("reference"), drawn.map(([k, c]) => [k, c.name]), true);
  $("panels").replaceChildren(...panels().map((panel) => panelOf(panel, drawn)));
  list(); table(); command(); choices();
}

// Chains: of magnitudes in dB, phases and delays the sums.
function joins() {
  const single = curves.map((c, k) => [k, c]).filter(([, c]) => !c.joined);
  fill($("first"), single.map(([k, c]) => [k, c.name]), true);
  const end = curves[+$("first").value]?.end;
  fill($("second"), single.filter(([, c]) => !end || !c.start || c.start === end).map(([k, c]) => [k, c.name]), true);
  $("join").disabled = $("second").options.length === 0;
}
const sum = (a, b) => a.map((v, i) => (v === null || b[i] === null ? null : v + b[i]));
function join() {
  const [a, b] = [curves[+$("first").value], curves[+$("second").value]], name = `${a.name}+${b.name}`;
  let k = curves.findIndex((c) => c.name === name);
  if (k < 0) {
    const both = a.range_hz && b.range_hz;
    k = curves.push({ name, joined: true, start: a.start, end: b.end, points: [],
      about: "the sum of the two curves", command: a.command && b.command ? quoted(name) : "",
      range_hz: both ? [Math.max(a.range_hz[0], b.range_hz[0]), Math.min(a.range_hz[1], b.range_hz[1])] : a.range_hz || b.range_hz,
      magnitude_db: sum(a.magnitude_db, b.magnitude_db), phase_rad: sum(a.phase_rad, b.phase_rad),
      group_delay_ms: sum(a.group_delay_ms, b.group_delay_ms), taps: null }) - 1;
  }
  state.chosen.add(k);
  draw();
}

// Listening: the recording through the very taps that earfilt applies, computed here.
function samples() {
  const text = atob(data.recording.pcm), out = new Float32Array(text.length / 2);
  for (let i = 0; i < out.length; i++) {
    const code = text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8);
    out[i] = (code >= 32768 ? code - 65536 : code) / 32768;
  }
  return out;
}
function wav(x, gain) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * x.length)), put = (at, text) => [...text].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  put(0, "RIFF"); bytes.setUint32(4, 36 + 2 * x.length, true); put(8, "WAVEfmt "); bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true); bytes.setUint32(24, data.recording.fs, true);
  bytes.setUint32(28, 2 * data.recording.fs, true); bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  put(36, "data"); bytes.setUint32(40, 2 * x.length, true);
  x.forEach((v, i) => bytes.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(v * gain * 32768))), true));
  return URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
}
function hear() {
  const curve = curves[+$("heard").value], x = samples(), y = new Float32Array(x.length);
  const { taps, lookahead } = curve.taps;
  for (let n = 0; n < x.length; n++) {
    let total = 0;
    const first = Math.max(0, n + lookahead - x.length + 1), last = Math.min(taps.length - 1, n + lookahead);
    for (let k = first; k <= last; k++) total += taps[k] * x[n + lookahead - k];
    y[n] = total;
  }
  const peak = (signal) => signal.reduce((top, v) => Math.max(top, Math.abs(v)), 0);
  const gain = Math.min(1, 0.99 / Math.max(peak(x), peak(y)));
  for (const [id, signal] of [["before", x], ["after", y]]) { URL.revokeObjectURL($(id).src); $(id).src = wav(signal, gain); }
  $("loudness").textContent = gain < 1 ? `Both ${(-20 * Math.log10(gain)).toFixed(1)} dB softer, so that nothing clips.` : "Both at their own level.";
}
function choices() {
  if (!data.recording) return;
  const before = $("heard").value;
  const options = shown().filter(([, c]) => c.taps).map(([k, c]) => [k, c.name]);
  fill($("heard"), options, true);
  $("hearing").hidden = !options.length;
  if (options.length && $("heard").value !== before) hear();
}

document.querySelector("h1").textContent = data.title;
$("about").textContent = data.about;
const ends = (which) => [["", "any"], ...[...new Set(curves.map((c) => c[which]).filter(Boolean))].sort().map((p) => [p, p])];
fill($("start"), ends("start"));
fill($("end"), ends("end"));
for (const id of ["ends", "chain"]) $(id).hidden = !curves.some((c) => c.start);
if (data.recording) $("licence").textContent = data.recording.licence;
for (const id of ["start", "end", "search"]) $(id).addEventListener("input", list);
for (const box of document.querySelectorAll("[name=panel]")) box.addEventListener("change", draw);
$("reference").addEventListener("change", draw);
$("first").addEventListener("change", joins);
$("join").addEventListener("click", join);
$("heard").addEventListener("change", hear);
$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText($("command").textContent); }
  catch { const range = document.createRange(); range.selectNodeContents($("command")); getSelection().removeAllRanges(); getSelection().addRange(range); document.execCommand("copy"); }
  $("copied").textContent = "copied";
  setTimeout(() => { $("copied").textContent = ""; }, 2000);
});
dark.addEventListener("change", draw);
let width = window.innerWidth;
window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; draw(); } });
joins();
draw();
