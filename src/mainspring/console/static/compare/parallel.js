// Parallel coordinates: a line for every run over parameters and results. Drag along an axis keeps the runs that pass
// there; a press on a name turns the axis logarithmic; what a run has not stands on a track of its own below.
import { colours, onTheme, ramp } from "../board/colours.js";
import { canvas } from "../board/pens.js";
import { label } from "../board/scales.js";
import { h, say } from "../dom.js";
import { state } from "../state.js";
import { counted } from "../words.js";
import { choices, points, share } from "./points.js";

const HEIGHT = 420, TOP = 44, BOTTOM = 58, SIDE = 70;

export async function show(stage, { rows, experiments = () => [], ids = null, columns = null }) {
  const shown = columns ?? rows.head.columns.slice(3).map((each) => each.id).filter((id) => id !== "tags");
  let axes = state.all("axes").length ? state.all("axes") : pick(shown);
  const root = h("div", { class: "card plotted" });
  stage.replaceChildren(root);
  const surface = h("canvas", { role: "img", tabIndex: 0 });
  const heads = h("div", { class: "axis-heads" });
  const told = h("p", { class: "faint", role: "status" });
  const offered = await choices(experiments(), shown);
  const colour = h("select", { aria: { label: "Coloured by" }, onchange: () => { state.set({ colour: colour.value }, { keep: true }); load(); } }, offered.map((id) => h("option", { value: id }, id)));
  const add = h("select", { aria: { label: "Add an axis" }, onchange: () => { if (add.value) set([...axes, add.value]); } }, h("option", { value: "" }, "Add an axis"), offered.map((id) => h("option", { value: id }, id)));
  const clear = h("button", { type: "button", class: "button", hidden: true, onclick: () => { brushes.clear(); draw(); } }, "Show all");
  const list = h("div", { class: "picked" });
  root.append(h("div", { class: "tools" }, h("label", {}, "Colour", colour), add, clear, told), h("div", { class: "scroll" }, h("div", { class: "plot-box" }, heads, surface)), list);
  const brushes = new Map(), logs = new Set(state.all("logaxis"));
  let data = null, lit = null, drag = null;

  const set = (next) => { axes = next; state.set({ axes: next }, { keep: true }); add.value = ""; load(); };
  const load = async () => {
    const by = state.get("colour") || axes.findLast((id) => id.startsWith("metrics.")) || axes[0];
    if (by && !offered.includes(by)) offered.push(by);
    colour.value = by;
    try { data = await points([...new Set([...axes, by])].filter(Boolean), { ids }); } catch (error) { say(error.message, { bad: true }); return; }
    data.by = data.axes.find((each) => each.id === by);
    draw();
  };
  const place = (index) => SIDE + (axes.length > 1 ? (index * (surface.clientWidth - 2 * SIDE)) / (axes.length - 1) : 0);
  const at = (part) => (part === null ? HEIGHT - BOTTOM + 26 : HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP));
  const parts = (row) => axes.map((id, index) => share(data.axes[index], row.values[index], logs.has(id)));
  const kept = (spots) => [...brushes].every(([index, [low, high]]) => spots[index] !== null && spots[index] >= low && spots[index] <= high);
  const draw = () => {
    if (!data) return;
    const width = Math.max(root.clientWidth - 40, axes.length * 110);
    surface.style.width = `${width}px`;
    surface.style.height = `${HEIGHT}px`;
    const pen = canvas(surface, width, HEIGHT);
    const { line, soft, faint, accent, series } = colours();
    const byPlace = data.axes.indexOf(data.by);
    data.lines = data.rows.map((row) => { const spots = parts(row); return { row, spots, kept: kept(spots), shade: share(data.by, row.values[byPlace]) }; });
    const inside = data.lines.filter((each) => each.kept);
    const alpha = Math.max(0.12, Math.min(0.85, 24 / Math.sqrt(inside.length + 1) / 4));
    const stroke = (each, style) => pen.line(each.spots.flatMap((part, index) => [place(index), at(part)]), style);
    for (const each of data.lines) if (!each.kept) stroke(each, { colour: line, width: 1, alpha: 0.35 });
    const paint = (each) => (data.by?.numeric ? (each.shade === null ? faint : ramp(each.shade)) : series[(data.by?.words.indexOf(String(each.row.values[byPlace])) ?? 0) % 10] ?? faint);
    for (const each of inside.sort((a, b) => (a.shade ?? -1) - (b.shade ?? -1))) stroke(each, { colour: paint(each), width: 1.4, alpha });
    if (lit) stroke(lit, { colour: accent, width: 3 });
    axes.forEach((id, index) => {
      const axis = data.axes[index], x = place(index);
      pen.line([x, TOP, x, HEIGHT - BOTTOM], { colour: soft, width: 1.2 });
      pen.line([x - 14, at(null), x + 14, at(null)], { colour: line, width: 1 });
      if (axis.numeric) {
        for (const part of [0, 0.25, 0.5, 0.75, 1]) {
          const value = logs.has(id) ? Math.exp(Math.log(axis.low) + part * (Math.log(axis.high) - Math.log(axis.low))) : axis.low + part * (axis.high - axis.low);
          if (axis.high > axis.low || part === 0.5) tag(pen, label(Number(value.toPrecision(3))), x + 6, at(part));
        }
      } else axis.words.forEach((word, place) => { if (axis.words.length < 24) tag(pen, word.slice(0, 14), x + 6, at(share(axis, word))); });
      if (index === 0) pen.text("none", x - 18, at(null), { colour: soft, align: "right" });
      const brush = brushes.get(index);
      if (brush) pen.box(x - 7, at(brush[1]), 14, Math.max(at(brush[0]) - at(brush[1]), 2), accent, 0.3);
    });
    heads.style.width = `${width}px`;
    heads.replaceChildren(...axes.map((id, index) => {
      const axis = data.axes[index];
      const head = h("div", { class: "axis-head" },
        h("button", { type: "button", class: "quiet", title: `${id}: press for a ${logs.has(id) ? "linear" : "logarithmic"} axis`, disabled: !axis.numeric || !axis.positive, onclick: () => { if (logs.has(id)) logs.delete(id); else logs.add(id); state.set({ logaxis: [...logs] }, { keep: true }); draw(); } }, axis.label, logs.has(id) ? " (log)" : ""),
        h("span", { class: "acts" }, h("button", { type: "button", class: "tiny", disabled: !index, aria: { label: `${id} to the left` }, onclick: () => { const next = [...axes]; next.splice(index - 1, 0, ...next.splice(index, 1)); brushes.clear(); set(next); } }, "←"),
          h("button", { type: "button", class: "tiny", aria: { label: `Remove ${id}` }, onclick: () => { brushes.clear(); set(axes.filter((each) => each !== id)); } }, "×")));
      head.style.left = `${place(index)}px`;
      return head;
    }));
    clear.hidden = !brushes.size;
    told.textContent = `${brushes.size ? `${inside.length} of ` : ""}${counted(data.rows.length, "run")}${data.total > data.rows.length ? `, the first of ${data.total.toLocaleString("en-US")}` : ""}`;
    surface.setAttribute("aria-label", `Parallel coordinates of ${data.rows.length} runs over ${axes.join(", ")}`);
    list.replaceChildren(...(brushes.size ? inside.slice(-30).reverse().map((each) => h("a", { class: "chip", href: each.row.href }, each.row.label)) : []));
  };
  const spot = (event) => { const box = surface.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
  const partAt = (y) => Math.min(Math.max((HEIGHT - BOTTOM - y) / (HEIGHT - BOTTOM - TOP), 0), 1);
  surface.addEventListener("pointerdown", (event) => {
    const { x, y } = spot(event);
    const index = axes.findIndex((_, each) => Math.abs(place(each) - x) < 14);
    if (index < 0 || y < TOP - 8 || y > HEIGHT - BOTTOM + 8) { if (lit) location.href = lit.row.href; return; }
    drag = { index, from: partAt(y) };
    surface.setPointerCapture(event.pointerId);
  });
  surface.addEventListener("pointermove", (event) => {
    const { x, y } = spot(event);
    if (drag) { brushes.set(drag.index, [drag.from, partAt(y)].sort((a, b) => a - b)); draw(); return; }
    const near = closest(x, y);
    if (near !== lit) { lit = near; draw(); surface.title = near ? near.row.label : ""; surface.style.cursor = near ? "pointer" : ""; }
  });
  surface.addEventListener("pointerup", () => {
    if (drag) { const [low, high] = brushes.get(drag.index) ?? [0, 0]; if (high - low < 0.01) brushes.delete(drag.index); draw(); }
    drag = null;
  });
  surface.addEventListener("pointerleave", () => { if (lit) { lit = null; draw(); } });
  const closest = (x, y) => {
    const left = axes.findIndex((_, index) => place(index) <= x && (index + 1 >= axes.length || place(index + 1) > x));
    if (left < 0 || left + 1 >= axes.length || !data) return null;
    const part = (x - place(left)) / (place(left + 1) - place(left));
    let best = null, away = 7;
    for (const each of data.lines) {
      if (!each.kept) continue;
      const by = Math.abs(at(each.spots[left]) * (1 - part) + at(each.spots[left + 1]) * part - y);
      if (by < away) { best = each; away = by; }
    }
    return best;
  };
  new ResizeObserver(() => draw()).observe(root);
  const stop = onTheme(() => { if (root.isConnected) draw(); else stop(); });
  await load();
}

// A text that can be read over lines.
function tag(pen, text, x, y) {
  const { soft, surface } = colours();
  pen.box(x - 2, y - 7, text.length * 6.2 + 4, 14, surface, 0.78);
  pen.text(text, x, y, { colour: soft });
}

function pick(shown) { return [...shown.filter((id) => id.startsWith("params.")), ...shown.filter((id) => id.startsWith("metrics.") && !id.includes("#"))].slice(0, 9); }
