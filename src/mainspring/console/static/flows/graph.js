// A graph that is zoomed, moved and searched. The server draws it; this changes what part of it is seen, by its viewBox,
// and keeps that when the live page is drawn anew.
import { debounce, h } from "../dom.js";

const kept = { box: null, words: "", touched: false };

export function setUpGraph() {
  const frame = document.querySelector("[data-graph]");
  if (!frame || frame.dataset.ready) return;
  const chart = frame.querySelector("svg.chart-dag");
  if (!chart || !chart.querySelector(".node")) return;
  frame.dataset.ready = "yes";
  const whole = [0, 0, chart.viewBox.baseVal.width, chart.viewBox.baseVal.height];
  frame.classList.add("zooms");
  frame.classList.toggle("low", whole[3] < 240);
  chart.removeAttribute("width");
  chart.removeAttribute("height");
  const nodes = [...chart.querySelectorAll(".node")];
  if (!kept.touched) kept.box = null; // as long as nobody chose what to see, a graph that grew is seen whole

  const show = (box) => { kept.box = box; chart.setAttribute("viewBox", box.map((each) => Math.round(each * 10) / 10).join(" ")); frame.dataset.zoom = (scaleOf(box)).toFixed(2); };
  const scaleOf = (box) => Math.min(frame.clientWidth / box[2], frame.clientHeight / box[3]) || 1;
  const fit = () => {
    kept.touched = false;
    const scale = Math.min(frame.clientWidth / whole[2], frame.clientHeight / whole[3], 1) || 1;
    const [wide, tall] = [frame.clientWidth / scale, frame.clientHeight / scale];
    show([(whole[2] - wide) / 2, (whole[3] - tall) / 2, wide, tall]);
  };
  // Text of ten pixels or less is read by nobody: a large graph begins at its left end, in a size that can be read.
  const begin = () => {
    fit();
    if (scaleOf(kept.box) < 0.6) show([0, whole[3] / 2 - frame.clientHeight / 1.6, frame.clientWidth / 0.8, frame.clientHeight / 0.8]);
  };
  const zoom = (by, x = 0.5, y = 0.5) => {
    const [left, top, wide, tall] = kept.box;
    kept.touched = true;
    const scale = Math.min(Math.max(scaleOf(kept.box) * by, 0.02), 6) / scaleOf(kept.box);
    show([left + wide * x * (1 - 1 / scale), top + tall * y * (1 - 1 / scale), wide / scale, tall / scale]);
  };
  const move = (x, y) => { kept.touched = true; const [left, top, wide, tall] = kept.box; show([left + wide * x, top + tall * y, wide, tall]); };
  const centre = (node) => {
    kept.touched = true;
    const at = node.getBBox();
    const scale = Math.max(scaleOf(kept.box), 0.8);
    const [wide, tall] = [frame.clientWidth / scale, frame.clientHeight / scale];
    show([at.x + at.width / 2 - wide / 2, at.y + at.height / 2 - tall / 2, wide, tall]);
  };

  const count = h("span", { class: "faint", role: "status" });
  const input = h("input", { type: "search", placeholder: "Find a step", value: kept.words, spellcheck: false, aria: { label: "Find a step in the graph" } });
  let hits = [], at = -1;
  const find = () => {
    kept.words = input.value;
    const words = input.value.trim().toLowerCase();
    hits = words ? nodes.filter((node) => node.dataset.name.toLowerCase().includes(words)) : [];
    for (const node of nodes) node.classList.toggle("found", hits.includes(node));
    frame.classList.toggle("finding", words !== "");
    count.textContent = words ? `${hits.length} found` : "";
    at = -1;
  };
  const next = () => { if (!hits.length) return; at = (at + 1) % hits.length; centre(hits[at]); count.textContent = `${at + 1} of ${hits.length}`; };
  input.addEventListener("input", debounce(80, () => { find(); next(); }));
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); if (!hits.length) find(); next(); } if (event.key === "Escape") { input.value = ""; find(); } });
  const tool = (label, name, act) => h("button", { class: "button", type: "button", title: name, aria: { label: name }, onclick: act }, label);
  const toggles = [...chart.querySelectorAll(".toggle")].length;
  frame.before(h("div", { class: "graph-tools" }, input, count, tool("−", "Smaller", () => zoom(1 / 1.3)), tool("+", "Larger", () => zoom(1.3)), tool("Fit", "The whole graph", fit), toggles ? h("span", { class: "faint" }, "+ and − at a corner open and close maps") : null));

  frame.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey) && !event.shiftKey && document.activeElement !== frame) return;
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }, { passive: false });
  drag(frame, move);
  frame.addEventListener("dblclick", (event) => { if (!event.target.closest(".node")) fit(); });
  frame.addEventListener("keydown", (event) => {
    const act = { "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: fit, ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1) }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  frame.addEventListener("focusin", (event) => { const link = event.target.closest?.("a"); if (link?.matches(":focus-visible")) centre(link); frame.scrollTo(0, 0); });
  if (kept.box) show(kept.box); else begin();
  if (kept.words) find();
}

// Dragged with one pointer, pinched with two; a press that moved is no press on a link.
function drag(frame, move) {
  const points = new Map();
  let moved = 0;
  frame.addEventListener("pointerdown", (event) => { if (event.button) return; points.set(event.pointerId, [event.clientX, event.clientY]); moved = 0; });
  frame.addEventListener("pointermove", (event) => {
    const before = points.get(event.pointerId);
    if (!before) return;
    const [x, y] = [event.clientX - before[0], event.clientY - before[1]];
    moved += Math.abs(x) + Math.abs(y);
    if (moved < 4) return;
    if (!frame.hasPointerCapture(event.pointerId)) { frame.setPointerCapture(event.pointerId); frame.classList.add("moving"); }
    points.set(event.pointerId, [event.clientX, event.clientY]);
    move(-x / frame.clientWidth, -y / frame.clientHeight);
  });
  const end = (event) => { points.delete(event.pointerId); frame.classList.remove("moving"); };
  frame.addEventListener("pointerup", end);
  frame.addEventListener("pointercancel", end);
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  frame.addEventListener("click", (event) => { if (moved >= 4) { event.preventDefault(); event.stopPropagation(); moved = 0; } }, true);
}
