"use strict";
// Everything comes from the block of data: names are set as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
// Okabe and Ito's colours, dark enough for white ground and light enough for black, with a dash each
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const COLOURS = { light: ["#0b62a4", "#b34700", "#00795a", "#9c3d7c", "#5b5b00", "#1b1f24"],
                  dark: ["#6db6f2", "#ff9a4d", "#3ccfa4", "#f09ad0", "#d8d84a", "#e9edf1"] };
const DASHES = ["", "7 3", "2 3", "10 3 2 3", "5 2 1 2 1 2"];
const SVG_NAMES = new Set(["svg", "path", "line", "text", "circle", "rect", "g", "title", "clipPath", "defs"]);
const element = (name, attributes = {}, text = "") => {
  const made = SVG_NAMES.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
};
const spoken = (hz) => (hz >= 1000 ? `${+(hz / 1000).toPrecision(4)} kHz` : `${+hz.toPrecision(4)} Hz`);

function fill(select, options, keep) {
  const before = keep ? select.value : "";
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  if (options.some(([value]) => String(value) === before)) select.value = before;
}

function steps(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const ticks = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) ticks.push(+t.toPrecision(12));
  return ticks;
}

const LEFT = 52, RIGHT = 12, TOP = 22, BOTTOM = 30; // room around axes
// Grid, ticks and frame over log frequency; gives the group that is cut off at the frame.
function axes(svg, { W, H, low, high, across, up, f0, f1, title }) {
  for (const t of steps(low, high, 8)) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: up(t), y2: up(t) }),
      element("text", { x: LEFT - 6, y: up(t) + 4, "text-anchor": "end" }, String(t)));
  }
  for (let decade = 1; decade < 1e6; decade *= 10) for (const digit of W < 480 ? [1] : [1, 2, 5]) {
    const hz = digit * decade;
    if (hz < f0 * 0.999 || hz > f1 * 1.001) continue;
    svg.append(element("line", { class: "grid", x1: across(hz), x2: across(hz), y1: TOP, y2: H - BOTTOM }),
      element("text", { x: across(hz), y: H - BOTTOM + 16, "text-anchor": "middle" }, hz >= 1000 ? `${hz / 1000}k` : String(hz)));
  }
  svg.append(element("rect", { class: "axis", x: LEFT, y: TOP, width: W - LEFT - RIGHT, height: H - TOP - BOTTOM }),
    element("text", { x: LEFT, y: 14 }, title),
    element("text", { x: W - RIGHT, y: H - 2, "text-anchor": "end" }, "Hz"));
  const clip = element("clipPath", { id: `clip-${axes.count = (axes.count || 0) + 1}` });
  clip.append(element("rect", { x: LEFT, y: TOP, width: W - LEFT - RIGHT, height: H - TOP - BOTTOM }));
  const inside = element("g", { "clip-path": `url(#${clip.id})` });
  svg.append(clip, inside);
  return inside;
}

// A line through points, with a gap at each null.
function pathThrough(points) {
  let path = "", pen = false;
  for (const point of points) {
    if (point) path += `${pen ? "L" : "M"}${point[0].toFixed(2)} ${point[1].toFixed(2)}`;
    pen = Boolean(point);
  }
  return path;
}

