// The tools above a board of charts.
import { debounce, h } from "../dom.js";
import { state } from "../state.js";

export function chartTools(board) {
  const set = (name, value) => state.set({ [name]: value, ...(name === "x" || name === "logx" ? { zoom: "" } : {}) }, { keep: true });
  const search = h("input", { type: "search", placeholder: "Find charts: loss, ^val/", spellcheck: false, value: board.options.keys, aria: { label: "Find charts by a regular expression" } });
  search.addEventListener("input", debounce(150, () => set("keys", search.value.trim())));
  const wrong = h("span", { class: "filter-problem", role: "alert", hidden: true });
  const x = h("select", { aria: { label: "x axis" }, onchange: () => set("x", x.value === "step" ? "" : x.value) });
  const slider = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, aria: { label: "Smoothing" } });
  const amount = h("output", { class: "amount" });
  const keepSmooth = debounce(120, () => set("smooth", Number(slider.value) ? slider.value : ""));
  slider.addEventListener("input", () => { amount.textContent = Number(slider.value) ? Number(slider.value).toFixed(2) : "off"; keepSmooth(); });
  const toggle = (name, on, text, title) => {
    const button = h("button", { type: "button", class: "button small", title, onclick: () => set(name, button.getAttribute("aria-pressed") === "true" ? "" : on) }, text);
    return button;
  };
  const logx = toggle("logx", "1", "log x", "Logarithmic x axis");
  const logy = toggle("y", "log", "log y", "Logarithmic y axis of every chart");
  const outliers = toggle("outliers", "ignore", "no outliers", "Leave outliers out of the range of the y axis");
  const band = h("select", { aria: { label: "Groups" }, onchange: () => set("band", band.value === "deviation" ? "" : band.value) },
    h("option", { value: "deviation" }, "mean ± deviation"), h("option", { value: "range" }, "mean, least to greatest"), h("option", { value: "none" }, "every run"));
  const reset = h("button", { type: "button", class: "button small", hidden: true, title: "Show the whole x axis (double click)", onclick: () => { for (const chart of board.charts.values()) chart.yZoom = null; board.zoomTo(null); } }, "Reset zoom");
  const root = h("div", { class: "tools charts-tools" }, search, wrong, h("label", {}, "x", x), logx, logy,
    h("label", { class: "smooth" }, "Smoothing", slider, amount), outliers, h("label", { hidden: true }, "Groups", band), reset);
  return {
    root,
    problem(text) { wrong.hidden = !text; wrong.textContent = text; search.setAttribute("aria-invalid", String(!!text)); },
    draw() {
      const { options } = board;
      const known = [["step", "step"], ["relative", "time since start"], ["time", "wall time"], ...board.keys.slice(0, 300).map((key) => [key, key])];
      if (!known.some(([value]) => value === options.x)) known.push([options.x, options.x]);
      if (x.children.length !== known.length) x.replaceChildren(...known.map(([value, text]) => h("option", { value }, text)));
      x.value = options.x;
      if (document.activeElement !== slider) slider.value = options.smooth;
      amount.textContent = options.smooth ? options.smooth.toFixed(2) : "off";
      for (const [button, on] of [[logx, options.logx], [logy, options.y === "log"], [outliers, options.outliers]]) button.setAttribute("aria-pressed", String(on));
      band.value = options.band;
      band.parentElement.hidden = new Set(board.all.map((run) => run.group ?? "")).size < 2;
      reset.hidden = !options.zoom;
      if (document.activeElement !== search) search.value = options.keys;
    },
  };
}
