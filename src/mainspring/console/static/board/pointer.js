// The pointer and the keys over a chart: a crosshair over all charts that share the axis, one table of values, a box that
// zooms all of them, a drag with Shift that moves them.
import { h } from "../dom.js";
import { colours, DASHES } from "./colours.js";
import { stroke } from "./draw.js";
import { nearest } from "./lines.js";
import { canvas } from "./pens.js";
import { label } from "./scales.js";

const SHOWN = 14, NEAR = 28;
const tip = h("div", { class: "tip", role: "status", hidden: true });

export function setUpPointer(chart) {
  const { plot, board } = chart;
  let drag = null, asked = false, latest = null;
  plot.addEventListener("pointermove", (event) => {
    latest = event;
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; if (drag) pull(latest); else if (latest) hover(chart, place(chart, latest), latest); });
  });
  plot.addEventListener("pointerleave", () => { latest = null; if (!drag) leave(board); });
  plot.addEventListener("pointerdown", (event) => {
    if (!chart.axis || event.button !== 0) return;
    const { x, y } = place(chart, event);
    const [left, , right] = chart.axis.plot;
    if (x < left || x > right) return;
    drag = { x, y, pan: event.shiftKey, zoom: [chart.axis.x.low, chart.axis.x.high], axis: chart.axis };
    plot.setPointerCapture(event.pointerId);
    leave(board);
  });
  const pull = (event) => {
    const { x, y } = place(chart, event);
    if (drag.pan) {
      const from = drag.axis.x.of(drag.x), to = drag.axis.x.of(x);
      const [low, high] = drag.zoom;
      board.zoomTo(drag.axis.x.kind === "log" ? [low * (from / to), high * (from / to)] : [low + from - to, high + from - to], true);
      return;
    }
    const pen = canvas(chart.over, plot.clientWidth, plot.clientHeight);
    const [left, top, right, bottom] = chart.axis.plot;
    const ends = [drag.x, x].map((each) => Math.min(Math.max(each, left), right)).sort((a, b) => a - b);
    const tall = Math.abs(y - drag.y) > 24;
    const sides = tall ? [drag.y, y].map((each) => Math.min(Math.max(each, top), bottom)).sort((a, b) => a - b) : [top, bottom];
    pen.box(ends[0], sides[0], ends[1] - ends[0], sides[1] - sides[0], colours().accent, 0.15);
    drag.ends = ends;
    drag.sides = tall ? sides : null;
  };
  plot.addEventListener("pointerup", () => {
    const done = drag;
    drag = null;
    if (!done || done.pan) { board.settle(); return; }
    canvas(chart.over, plot.clientWidth, plot.clientHeight);
    if (!done.ends || done.ends[1] - done.ends[0] < 6) return;
    chart.yZoom = done.sides ? [chart.axis.y.of(done.sides[1]), chart.axis.y.of(done.sides[0])] : chart.yZoom;
    board.zoomTo(done.ends.map(chart.axis.x.of));
  });
  plot.addEventListener("pointercancel", () => { drag = null; });
  plot.addEventListener("dblclick", () => { chart.yZoom = null; board.zoomTo(null); chart.redraw(); });
  plot.addEventListener("keydown", (event) => keys(chart, event));
  plot.addEventListener("blur", () => leave(board));
}

function keys(chart, event) {
  const { board, axis } = chart;
  if (event.key === "f") { event.preventDefault(); event.stopPropagation(); chart.fullButton.click(); return; }
  if (!axis || event.ctrlKey || event.metaKey) return;
  const { low, high, kind } = axis.x;
  const middle = chart.cursor ?? axis.x.of((axis.plot[0] + axis.plot[2]) / 2);
  const part = (by) => axis.x.of(axis.x.at(middle) + by);
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    event.preventDefault();
    const by = (axis.plot[2] - axis.plot[0]) / (event.shiftKey ? 10 : 60);
    const at = Math.min(Math.max(part(event.key === "ArrowLeft" ? -by : by), low), high);
    const box = chart.plot.getBoundingClientRect();
    hover(chart, { x: axis.x.at(at), y: axis.plot[1] }, { clientX: box.left + axis.x.at(at), clientY: box.top + 24 });
  } else if (["+", "=", "-"].includes(event.key)) {
    event.preventDefault();
    const half = ((axis.plot[2] - axis.plot[0]) / 2) * (event.key === "-" ? 1.5 : 0.6);
    board.zoomTo(kind === "log" && part(-half) <= 0 ? null : [part(-half), part(half)]);
  } else if (event.key === "0") { chart.yZoom = null; board.zoomTo(null); }
}

function place(chart, event) {
  const box = chart.plot.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function hover(chart, { x, y }, event) {
  const { board, axis, model } = chart;
  if (!axis) { leave(board); return; }
  const [left, , right] = axis.plot;
  if (x < left - 4 || x > right + 4) { leave(board); return; }
  const value = axis.x.of(Math.min(Math.max(x, left), right));
  const rows = model.lines.map((line) => {
    const index = nearest(line.x, value, model.rising);
    const shown = line.y[index];
    return { line, index, value: shown, x: line.x[index], away: Math.hypot(axis.x.at(line.x[index]) - x, axis.y.at(shown) - y) };
  }).filter((row) => Number.isFinite(row.value) && Math.abs(axis.x.at(row.x) - x) < Math.max(24, (right - left) / 20));
  rows.sort((a, b) => b.value - a.value);
  const close = rows.reduce((best, row) => (row.away < (best?.away ?? NEAR) ? row : best), null);
  for (const other of board.inSight()) if (other.axis) {
    other.cursor = value;
    trace(other, value, other === chart ? rows : null, close?.line.id);
  }
  show(chart, rows, close, value, event);
  board.highlight(close?.line.id ?? "");
}

// The line under the pointer over all others, and a rule at the place.
export function trace(chart, value, rows, lit) {
  const { axis, model, over, plot } = chart;
  const pen = canvas(over, plot.clientWidth, plot.clientHeight);
  const { faint, series, surface } = colours();
  const [left, top, right, bottom] = axis.plot;
  chart.figure.classList.toggle("dimmed", !!lit && model.lines.length > 1 && model.lines.some((line) => line.id === lit));
  if (value !== null) {
    const x = axis.x.at(value);
    if (x >= left && x <= right) pen.line([x, top, x, bottom], { colour: faint, width: 1, dash: [2, 2] });
  }
  pen.within([left, top, right, bottom + 1], () => {
    const line = model.lines.find((each) => each.id === lit);
    if (line) stroke(pen, axis, line.x, line.y, { colour: series[line.slot % 10], width: 2.4, dash: DASHES[line.dash % 4] });
    const marks = rows ?? (line && value !== null ? [{ line, index: nearest(line.x, value, model.rising) }] : []);
    for (const row of marks.slice(0, 40)) {
      const y = row.line.y[row.index];
      if (!Number.isFinite(y) || (axis.y.kind === "log" && y <= 0)) continue;
      pen.dot(axis.x.at(row.line.x[row.index]), axis.y.at(y), 3.6, surface);
      pen.dot(axis.x.at(row.line.x[row.index]), axis.y.at(y), 2.6, series[row.line.slot % 10]);
    }
  });
}

function show(chart, rows, close, value, event) {
  const { model } = chart;
  const top = rows.slice(0, SHOWN);
  if (close && !top.includes(close)) top.splice(SHOWN - 1, 1, close);
  tip.replaceChildren(h("div", { class: "at" }, h("b", {}, chart.key), h("span", {}, `${model.xLabel} ${label(close?.x ?? rows[0]?.x ?? value, model.xRead)}`)), ...top.map((row) => {
    const extent = row.line.bounds && row.line.bounds.lo[row.index] !== row.line.bounds.hi[row.index] ? ` ${label(row.line.bounds.lo[row.index])} to ${label(row.line.bounds.hi[row.index])}` : "";
    const delta = chart.board.delta(row, rows);
    return h("div", { class: row === close ? "lit" : "" }, h("span", { class: `swatch s${row.line.slot % 10}` }), h("span", { class: "grow" }, row.line.label), h("span", { class: "faint" }, delta || extent), h("span", { class: "value" }, label(row.value)));
  }), rows.length > top.length ? h("div", { class: "faint" }, `and ${rows.length - top.length} more`) : "");
  const host = chart.large ? chart.figure : document.body;
  if (tip.parentNode !== host) host.append(tip);
  tip.hidden = false;
  const wide = tip.offsetWidth, high = tip.offsetHeight;
  const beside = event.clientX + 16 + wide > innerWidth ? event.clientX - wide - 16 : event.clientX + 16;
  tip.style.left = `${Math.max(8, beside)}px`;
  tip.style.top = `${Math.max(8, Math.min(event.clientY + 16, innerHeight - high - 8))}px`;
}

export function leave(board) {
  tip.hidden = true;
  for (const chart of board.inSight()) {
    chart.figure.classList.remove("dimmed");
    if (chart.axis) canvas(chart.over, chart.plot.clientWidth, chart.plot.clientHeight);
  }
  board.highlight("");
}
