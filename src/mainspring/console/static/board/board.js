// A board of charts: one for every metric of some runs, in sections by the part of the name before its last slash. Only
// charts in sight are loaded and drawn; all share the x axis, the zoom, the crosshair, the smoothing. The choices stand in
// the address.
import { debounce, h } from "../dom.js";
import { state } from "../state.js";
import { counted } from "../words.js";
import { Chart } from "./chart.js";
import { DASHES, onTheme } from "./colours.js";
import { Histories } from "./data.js";
import { abscissa, smoothed, together } from "./lines.js";
import { chartTools } from "./tools.js";

const FIRST = 24, MORE = 48; // charts of a section that are made at once; those after a press
const LIVE = 4000;
const X_LABELS = { step: "step", relative: "time since the start", time: "time" };

export class Board {
  // `runs`: [{ id, label, slot, status, started_at, group }], `keys`: [{ key, last }] or texts.
  constructor(root, { runs, keys, baseline = "", onhighlight = () => {} }) {
    Object.assign(this, { root, baseline, onhighlight, charts: new Map(), closed: new Set() });
    this.options = options();
    this.histories = new Histories(new Map(), served(this.options.x));
    this.tools = chartTools(this);
    this.sections = h("div", { class: "sections" });
    root.replaceChildren(this.tools.root, this.sections);
    this.observer = new IntersectionObserver((entries) => this.sight(entries), { rootMargin: "120px" });
    this.stop = onTheme(() => this.redraw());
    document.addEventListener("server-back", () => { this.histories.failed.clear(); this.redraw(); });
    this.timer = setInterval(() => this.live(), LIVE);
    this.forget = state.listen((names) => { if (this.root.isConnected) this.changed(names); });
    this.saveZoom = debounce(250, () => state.set({ zoom: this.options.zoom ? this.options.zoom.map((each) => Number(each.toPrecision(8))).join(",") : "" }, { keep: true }));
    this.set(runs, keys);
  }

  // Other runs or keys; what was loaded of the same ones stays.
  set(runs, keys) {
    this.all = runs;
    this.keys = keys.map((each) => (typeof each === "string" ? each : each.key));
    for (const run of runs) this.histories.starts.set(run.id, Date.parse(run.started_at) / 1000);
    const seen = new Map();
    this.dashes = new Map(runs.map((run) => { const count = seen.get(run.slot) ?? 0; seen.set(run.slot, count + 1); return [run.id, count % DASHES.length]; }));
    this.layout();
  }

  get runs() { const hidden = new Set(state.all("hide")); return this.all.filter((run) => !hidden.has(run.id)); }

  layout() {
    let wanted = this.keys;
    this.tools.problem("");
    if (this.options.keys) {
      try { const pattern = new RegExp(this.options.keys, "i"); wanted = wanted.filter((key) => pattern.test(key)); } catch (error) { this.tools.problem(error.message.replace(/^Invalid regular expression: /, "")); }
    }
    const sections = new Map();
    for (const key of wanted) {
      const slash = key.lastIndexOf("/");
      const name = slash > 0 ? key.slice(0, slash) : "";
      if (!sections.has(name)) sections.set(name, []);
      sections.get(name).push(key);
    }
    const order = [...sections.keys()].sort((a, b) => a.startsWith("system") - b.startsWith("system") || (a !== "") - (b !== "") || a.localeCompare(b));
    for (const [key, chart] of this.charts) if (!wanted.includes(key) && !chart.large) { this.observer.unobserve(chart.figure); chart.figure.remove(); this.charts.delete(key); }
    this.sections.replaceChildren(...order.map((name) => this.section(name, sections.get(name))));
    if (!order.length) this.sections.append(h("p", { class: "nothing" }, this.keys.length ? "No metric matches." : "These runs have logged no metric."));
    this.tools.draw();
    this.redraw();
  }

  section(name, keys) {
    const grid = h("div", { class: "chart-grid" });
    const fold = h("details", { class: "section", data: { section: name }, open: name.startsWith("system") && this.keys.length > keys.length ? this.closed.has(`+${name}`) : !this.closed.has(name) },
      h("summary", {}, h("span", { class: "name" }, name || "Metrics"), h("span", { class: "faint" }, counted(keys.length, "chart"))), grid);
    let made = 0;
    const fill = (count) => {
      for (const key of keys.slice(made, made + count)) {
        if (!this.charts.has(key)) this.charts.set(key, new Chart(this, key));
        const { figure } = this.charts.get(key);
        grid.append(figure);
        this.observer.observe(figure);
      }
      made = Math.min(made + count, keys.length);
      fold.querySelector(":scope > .more")?.remove();
      if (made < keys.length) fold.append(h("button", { class: "button more", type: "button", onclick: () => fill(MORE) }, `${counted(keys.length - made, "more chart")}`));
    };
    const opened = () => { if (fold.open && !made) fill(FIRST); };
    fold.addEventListener("toggle", () => {
      const special = name.startsWith("system") ? `+${name}` : name;
      if (fold.open === name.startsWith("system")) this.closed.add(special); else this.closed.delete(special);
      opened();
    });
    opened();
    return fold;
  }

  sight(entries) {
    for (const entry of entries) {
      const chart = entry.target.chart;
      if (!chart || chart.large) continue;
      chart.seen = entry.isIntersecting;
      if (!chart.seen) this.histories.drop(chart.key);
      else if (chart.stale) this.later(chart);
    }
  }

  // A few charts a frame, so that no frame is long.
  later(chart) {
    (this.waiting ??= new Set()).add(chart);
    if (this.waiting.size > 1) return;
    const work = () => {
      const until = performance.now() + 12;
      for (const each of this.waiting) {
        this.waiting.delete(each);
        if (each.seen || each.large) each.draw();
        if (performance.now() > until) break;
      }
      if (this.waiting.size) requestAnimationFrame(work);
    };
    requestAnimationFrame(work);
  }

  inSight() { return [...this.charts.values()].filter((chart) => chart.seen && chart.model && !chart.stale); }

  redraw() {
    for (const chart of this.charts.values()) {
      chart.stale = true;
      if (chart.seen || chart.large) this.later(chart);
    }
  }

  // Whether all that a chart needs is here; asks for it when it is not.
  prepare(chart, width) {
    const ids = this.runs.map((run) => run.id);
    if (!ids.length) return true;
    const share = ids.length > 20 ? 4 : ids.length > 6 ? 2 : 1.2;
    let buckets = Math.max(60, Math.round(width / share / 60) * 60);
    const whole = chart.axis?.whole;
    if (this.options.zoom && whole && whole[1] > whole[0]) {
      const closer = Math.min((whole[1] - whole[0]) / Math.max(this.options.zoom[1] - this.options.zoom[0], 1e-12), 64);
      buckets *= 2 ** Math.ceil(Math.log2(Math.max(closer, 1)));
    }
    buckets = Math.min(buckets, Math.max(120, Math.floor(400_000 / ids.length)), 20_000);
    const done = () => { chart.stale = true; if (chart.seen || chart.large) this.later(chart); };
    return this.histories.want(chart.key, ids, buckets, done);
  }

  otherKey() { return X_LABELS[this.options.x] || !this.options.x ? "" : this.options.x; }

  model(chart) {
    const { x: mode, smooth, band, zoom, outliers, logx } = this.options;
    const other = this.otherKey();
    const histories = this.histories.of(chart.key);
    let lines = [];
    for (const run of this.runs) {
      const series = histories.get(run.id);
      if (!series || !series.y.length) continue;
      const x = abscissa(series, mode);
      if (x) lines.push({ id: run.id, label: run.label, slot: run.slot, dash: this.dashes.get(run.id) ?? 0, x, y: series.y, count: series.count, group: run.group, bounds: series.spread ? series : null, holes: series.holes.map((index) => x[index]) });
    }
    const single = lines.length > 0 && lines.every((line) => line.count === 1);
    if (this.grouped && !single) lines = this.taken(lines, band);
    for (const line of lines) {
      if (smooth && !other && !single) { line.raw = line.y; line.y = smoothed(line.x, line.y, smooth, line.count); }
      if (line.bounds && lines.length <= 3 && !this.grouped) { line.lo = line.bounds.lo; line.hi = line.bounds.hi; }
    }
    const xKind = logx ? "log" : mode === "time" ? "time" : "linear";
    const hidden = this.all.length - this.runs.length;
    return { lines, single, xKind, zoom, outliers, rising: !other, xLabel: other || X_LABELS[mode] || "step", xRead: mode === "relative" ? "span" : mode === "time" ? "time" : "linear", hidden };
  }

  get grouped() { return this.options.band !== "none" && new Set(this.all.map((run) => run.group ?? "")).size > 1; }

  taken(lines, band) {
    const groups = new Map();
    for (const line of lines) { if (!groups.has(line.group)) groups.set(line.group, []); groups.get(line.group).push(line); }
    return [...groups].map(([name, members]) => {
      const found = together(members, band);
      const slot = this.all.find((run) => run.group === name)?.groupSlot ?? members[0].slot;
      return found && { ...found, id: `group ${name}`, label: `${name} (${members.length})`, slot, dash: 0, thick: true, count: Math.max(...members.map((each) => each.count)), bounds: found };
    }).filter(Boolean);
  }

  // The difference to the baseline's value in the same tooltip.
  delta(row, rows) {
    const base = this.baseline && rows.find((each) => each.line.id === this.baseline);
    if (!base || base === row) return base === row ? "baseline" : "";
    const by = row.value - base.value;
    return `${by < 0 ? "−" : "+"}${Number(Math.abs(by).toPrecision(2))}`;
  }

  zoomTo(range) {
    this.options.zoom = range;
    this.saveZoom();
    this.tools.draw();
    this.redraw();
  }

  settle() {}

  highlight(id) { if (this.lit !== id) { this.lit = id; this.onhighlight(id); } }

  // A run lit from outside of the charts: from the legend.
  async light(id) {
    const { trace } = await import("./pointer.js");
    for (const chart of this.inSight()) if (chart.axis) trace(chart, null, null, id);
  }

  changed(names) {
    const before = this.options;
    this.options = options();
    const x = served(this.options.x);
    if (x !== this.histories.x) this.histories = new Histories(this.histories.starts, x);
    if (names && names.size === 1 && names.has("zoom")) { this.options.zoom = before.zoom; return; }
    if (before.keys !== this.options.keys) this.layout();
    else { this.tools.draw(); this.redraw(); }
  }

  // What runs that go on have logged since; charts out of sight ask when they come into sight.
  async live() {
    if (!this.root.isConnected) { clearInterval(this.timer); this.stop(); return; }
    const going = this.runs.filter((run) => run.status === "running").map((run) => run.id);
    if (!going.length || document.hidden || document.querySelector("button.live[aria-pressed=true]")) return;
    const keys = this.inSight().map((chart) => chart.key);
    const changed = await this.histories.follow(keys, going).catch(() => []);
    for (const key of changed) this.charts.get(key)?.redraw();
  }
}

// What the server makes stretches of: time for both clocks, else steps or a metric.
function served(x) { return x === "time" || x === "relative" ? "time" : x || "step"; }

export function options() {
  const range = state.get("zoom").split(",").map(Number);
  const smooth = Number(state.get("smooth", "0"));
  return {
    x: state.get("x", "step"), y: state.get("y", "linear"), logx: state.get("logx") === "1", smooth: smooth > 0 && smooth < 1 ? smooth : 0,
    outliers: state.get("outliers") === "ignore", keys: state.get("keys"), band: state.get("band", "deviation"),
    zoom: range.length === 2 && range.every(Number.isFinite) && range[0] < range[1] ? range : null,
  };
}
