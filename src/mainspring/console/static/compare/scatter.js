// Runs as points: any two columns, a third as colour, a fourth as size.
import { colours, onTheme, ramp } from "../board/colours.js";
import { canvas } from "../board/pens.js";
import { label, padded, scale, ticks } from "../board/scales.js";
import { h, say } from "../dom.js";
import { state } from "../state.js";
import { counted } from "../words.js";
import { choices, points, share } from "./points.js";

const HEIGHT = 460, MARGIN = { left: 64, top: 14, right: 20, bottom: 44 };

export async function show(stage, { rows, experiments = () => [], ids = null, columns = null }) {
  const shown = columns ?? rows.head.columns.slice(3).map((each) => each.id).filter((id) => id !== "tags");
  const offered = await choices(experiments(), shown);
  const metrics = shown.filter((id) => id.startsWith("metrics.")), params = shown.filter((id) => id.startsWith("params."));
  const root = h("div", { class: "card plotted" });
  stage.replaceChildren(root);
  const picked = { px: state.get("px") || params[0] || metrics[1] || metrics[0] || "", py: state.get("py") || metrics[0] || "", colour: state.get("colour") || metrics[1] || "", size: state.get("size") };
  const select = (name, text, optional) => {
    const element = h("select", { aria: { label: text }, onchange: () => { picked[name] = element.value; state.set({ [name]: element.value }, { keep: true }); load(); } }, optional ? h("option", { value: "" }, "–") : "", offered.map((id) => h("option", { value: id }, id)));
    element.value = picked[name];
    return h("label", {}, text, element);
  };
  const logs = { x: state.get("logx") === "1", y: state.get("y") === "log" };
  const toggle = (side, name, on) => { const button = h("button", { type: "button", class: "button small", aria: { pressed: logs[side] }, onclick: () => { logs[side] = !logs[side]; button.setAttribute("aria-pressed", String(logs[side])); state.set({ [name]: logs[side] ? on : "" }, { keep: true }); draw(); } }, `log ${side}`); return button; };
  const told = h("p", { class: "faint", role: "status" });
  const surface = h("canvas", { role: "img", tabIndex: 0 });
  root.append(h("div", { class: "tools" }, select("px", "x"), toggle("x", "logx", "1"), select("py", "y"), toggle("y", "y", "log"), select("colour", "Colour", true), select("size", "Size", true)), surface, told);
  let data = null, dots = [], lit = null;

  const load = async () => {
    const ids_ = [...new Set([picked.px, picked.py, picked.colour, picked.size].filter(Boolean))];
    if (!ids_.length) { told.textContent = "These runs have nothing to draw."; return; }
    try { data = await points(ids_, { ids }); } catch (error) { say(error.message, { bad: true }); return; }
    data.place = (id) => data.axes.findIndex((each) => each.id === id);
    draw();
  };
  const draw = () => {
    if (!data) return;
    const width = root.clientWidth - 40;
    surface.style.width = `${width}px`;
    surface.style.height = `${HEIGHT}px`;
    const pen = canvas(surface, width, HEIGHT);
    const { line, soft, faint, series, ink, surface: back } = colours();
    const [x, y] = [["px", "x"], ["py", "y"]].map(([name, side]) => {
      const axis = data.axes[data.place(picked[name])];
      const log = logs[side] && axis?.numeric;
      const low = log && axis.low <= 0 ? Math.min(...data.rows.map((row) => row.values[data.place(picked[name])]).filter((each) => each > 0)) : axis?.low;
      const ends = !axis?.numeric ? [-0.5, Math.max((axis?.words.length ?? 1) - 0.5, 0.5)] : padded(log ? "log" : "linear", low, axis.high, 0.05);
      const kind = log ? "log" : "linear";
      return { axis, kind, place: data.place(picked[name]), scale: side === "x" ? scale(kind, ...ends, MARGIN.left, width - MARGIN.right) : scale(kind, ...ends, HEIGHT - MARGIN.bottom, MARGIN.top) };
    });
    const marks = ({ axis, scale: each }, count) => (axis?.numeric ? ticks(each, count) : (axis?.words ?? []).slice(0, 30).map((word, index) => [index, word.slice(0, 16)]));
    for (const [value, text] of marks(y, 7)) { pen.line([MARGIN.left, y.scale.at(value), width - MARGIN.right, y.scale.at(value)], { colour: line, width: 1 }); pen.text(text, MARGIN.left - 6, y.scale.at(value), { colour: soft, align: "right" }); }
    for (const [value, text] of marks(x, 9)) { pen.line([x.scale.at(value), MARGIN.top, x.scale.at(value), HEIGHT - MARGIN.bottom], { colour: line, width: 1, alpha: 0.6 }); pen.text(text, x.scale.at(value), HEIGHT - MARGIN.bottom + 14, { colour: soft, align: "center" }); }
    pen.text(picked.px, (MARGIN.left + width) / 2, HEIGHT - 10, { colour: ink, align: "center", size: 12 });
    pen.text(picked.py, MARGIN.left, 6, { colour: ink, size: 12 });
    const by = data.axes[data.place(picked.colour)], size = data.axes[data.place(picked.size)];
    const value = ({ axis, kind, place }, row) => {
      const cell = row.values[place];
      if (cell === null || cell === undefined || cell === "") return NaN;
      return axis.numeric ? (typeof cell === "number" && (kind !== "log" || cell > 0) ? cell : NaN) : axis.words.indexOf(String(cell));
    };
    dots = data.rows.map((row) => {
      const shade = by ? share(by, row.values[data.place(picked.colour)]) : null;
      const colour = !by ? series[row.slot] : by.numeric ? (shade === null ? faint : ramp(shade)) : series[Math.max(by.words.indexOf(String(row.values[data.place(picked.colour)])), 0) % 10];
      const part = size ? share(size, row.values[data.place(picked.size)]) : null;
      return { row, x: x.scale.at(value(x, row)), y: y.scale.at(value(y, row)), radius: size ? 3 + 9 * Math.sqrt(part ?? 0) : 4.5, colour };
    }).filter((dot) => Number.isFinite(dot.x) && Number.isFinite(dot.y));
    for (const dot of dots) { pen.dot(dot.x, dot.y, dot.radius + 0.8, back, 0.9); pen.dot(dot.x, dot.y, dot.radius, dot.colour, dots.length > 300 ? 0.6 : 0.88); }
    if (lit) { const dot = dots.find((each) => each.row.id === lit.row.id); if (dot) { pen.dot(dot.x, dot.y, dot.radius + 3, ink); pen.dot(dot.x, dot.y, dot.radius + 1, dot.colour); } }
    const missing = data.rows.length - dots.length;
    const line_ = lit ? `${lit.row.label}: ${[picked.px, picked.py, picked.colour, picked.size].filter(Boolean).map((id) => { const cell = lit.row.values[data.place(id)]; return `${id.replace(/^\w+\./, "")} ${typeof cell === "number" ? label(cell) : cell ?? "–"}`; }).join(", ")}` : "";
    told.textContent = line_ || `${counted(dots.length, "run")}${missing ? `; ${missing.toLocaleString("en-US")} have not both values` : ""}${data.total > data.rows.length ? `; the first of ${data.total.toLocaleString("en-US")}` : ""}`;
    surface.setAttribute("aria-label", `${picked.py} against ${picked.px} of ${dots.length} runs`);
  };
  surface.addEventListener("pointermove", (event) => {
    const box = surface.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    let best = null, away = 14;
    for (const dot of dots) { const by = Math.hypot(dot.x - px, dot.y - py) - dot.radius; if (by < away) { best = dot; away = by; } }
    if (best?.row.id !== lit?.row.id) { lit = best; surface.style.cursor = lit ? "pointer" : ""; draw(); }
  });
  surface.addEventListener("pointerleave", () => { if (lit) { lit = null; draw(); } });
  surface.addEventListener("click", () => { if (lit) location.href = lit.row.href; });
  new ResizeObserver(() => draw()).observe(root);
  const stop = onTheme(() => { if (root.isConnected) draw(); else stop(); });
  await load();
}
