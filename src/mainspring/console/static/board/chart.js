// One chart on the page: its frame, its two canvases (what is drawn, and what follows the pointer), its buttons.
import { h, menu } from "../dom.js";
import { icon } from "../icons.js";
import { barRows, drawBars } from "./bars.js";
import { axes, drawChart } from "./draw.js";
import { save } from "./export.js";
import { setUpPointer } from "./pointer.js";
import { canvas } from "./pens.js";

export class Chart {
  constructor(board, key) {
    Object.assign(this, { board, key, seen: false, stale: true, axis: null, model: null, log: false, yZoom: null });
    this.base = h("canvas", { aria: { hidden: true } });
    this.over = h("canvas", { class: "over", aria: { hidden: true } });
    this.wait = h("div", { class: "wait" });
    this.plot = h("div", { class: "plot", tabIndex: 0, role: "img", aria: { label: key } }, this.base, this.over, this.wait);
    this.logButton = h("button", { type: "button", class: "tiny", title: "Logarithmic y axis", aria: { pressed: false, label: `Logarithmic y axis of ${key}` }, onclick: () => { this.log = !this.log; this.logButton.setAttribute("aria-pressed", String(this.log)); this.yZoom = null; this.redraw(); } }, "log");
    this.fullButton = h("button", { type: "button", class: "tiny", title: "Full screen (f)", aria: { label: `Full screen: ${key}` }, onclick: () => { if (this.closeFull) this.closeFull(); else this.full(); } }, icon("full"));
    const files = menu(icon("load"), (close) => ["SVG", "PNG", "CSV"].map((kind) => h("button", { type: "button", class: "quiet", onclick: () => { close(); save(this, kind); } }, kind)), { title: `Download ${key}`, className: "tiny" });
    files.button.setAttribute("aria-label", `Download ${key}`);
    const slash = key.lastIndexOf("/");
    this.figure = h("figure", { class: "chart-card", data: { key } },
      h("figcaption", {}, h("span", { class: "name", title: key }, slash > 0 ? h("span", { class: "faint" }, key.slice(0, slash + 1)) : "", key.slice(slash + 1)), h("span", { class: "acts" }, this.logButton, files.root, this.fullButton)), this.plot);
    this.figure.chart = this;
    setUpPointer(this);
    new ResizeObserver(() => this.redraw()).observe(this.plot);
  }

  get yKind() { return this.log !== (this.board.options.y === "log") ? "log" : "linear"; }

  // Drawn again when it is next in sight: now, if it is.
  redraw() {
    this.stale = true;
    if (this.seen) this.draw();
  }

  draw() {
    const { board } = this;
    const width = this.plot.clientWidth, height = this.plot.clientHeight;
    if (!width || !height) return;
    this.stale = false;
    this.grown = this.large ? 2 : 1;
    if (board.histories.failed.has(this.key)) {
      this.wait.hidden = false;
      this.wait.textContent = "Could not be loaded";
      return;
    }
    if (!board.prepare(this, width * this.grown)) {
      this.wait.hidden = false;
      this.wait.textContent = "";
      if (!this.model) return;
    } else { this.wait.hidden = true; this.model = null; }
    this.model ??= board.model(this);
    this.bars = this.model.single ? barRows(this.model) : null;
    const pen = canvas(this.base, width, height);
    canvas(this.over, width, height);
    this.logButton.hidden = !!this.bars;
    if (this.bars) { drawBars(pen, this.bars, this.model); this.axis = null; } else {
      this.axis = axes({ ...this.model, yKind: this.yKind, yZoom: this.yZoom }, width, height);
      if (this.axis) drawChart(pen, this.model, this.axis); else { pen.clear(); this.wait.hidden = false; this.wait.textContent = "No value to draw"; }
    }
    this.plot.setAttribute("aria-label", this.describe());
    this.figure.dataset.drawn = String(Number(this.figure.dataset.drawn ?? 0) + 1);
  }

  describe() {
    const { lines } = this.model;
    return `${this.key}: ${lines.length} ${lines.length === 1 ? "line" : "lines"}${this.axis ? `, from ${this.axis.y.low.toPrecision(3)} to ${this.axis.y.high.toPrecision(3)}` : ""}. Arrow keys move along it.`;
  }

  full() {
    const dialog = h("dialog", { class: "full", aria: { label: this.key } });
    const place = h("div");
    this.figure.replaceWith(place);
    dialog.append(this.figure);
    document.body.append(dialog);
    this.large = true;
    this.seen = true;
    this.fullButton.replaceChildren(icon("close"));
    dialog.addEventListener("close", () => {
      this.large = false;
      place.replaceWith(this.figure);
      dialog.remove();
      this.fullButton.replaceChildren(icon("full"));
      this.closeFull = null;
      this.redraw();
    });
    this.closeFull = () => dialog.close();
    dialog.showModal();
    this.plot.focus();
  }
}
