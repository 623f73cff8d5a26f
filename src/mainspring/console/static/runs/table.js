// A table of any length: only the rows in sight are in the document. Rows have one height; the head, the pinned rows and
// the first columns stay where they are.
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { state } from "../state.js";
import { counted, figure } from "../words.js";
import { aggregate, cell } from "./cells.js";

const ROW = 36, AROUND = 10;

export class Table {
  constructor(root, { item, length, need, selected, onselect, ongroup, drawn }) {
    Object.assign(this, { root, item, length, need, selected, onselect, ongroup, drawn });
    this.columns = [];
    this.marked = -1;
    this.live = new Map();
    this.head = h("thead");
    this.pins = h("tbody", { class: "pins" });
    this.before = h("tr", { class: "space", aria: { hidden: true } });
    this.after = h("tr", { class: "space", aria: { hidden: true } });
    this.body = h("tbody", {}, this.before, this.after);
    this.group = h("colgroup");
    this.table = h("table", {}, this.group, this.head, this.pins, this.body);
    this.box = h("div", { class: "grid", tabIndex: 0, role: "region", aria: { label: "Runs, scrolls" } }, this.table);
    root.replaceChildren(this.box);
    let waiting = false;
    this.box.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; this.window(); });
    }, { passive: true });
    new ResizeObserver(() => this.window()).observe(this.box);
    document.addEventListener("move-row", (event) => { event.preventDefault(); this.move(event.detail); });
    this.box.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (by && event.target === this.box) { event.preventDefault(); this.move(by); }
    });
    this.body.addEventListener("click", (event) => this.press(event));
    this.pins.addEventListener("click", (event) => this.press(event));
  }

  // Everything again: other columns, other rows.
  draw(columns, pinned, baseline) {
    this.columns = columns;
    this.baseline = baseline;
    this.base = pinned.find((row) => row.id === baseline) ?? null;
    this.measure();
    this.head.replaceChildren(this.heading());
    this.pinned = new Set(pinned.map((row) => row.id));
    this.pins.replaceChildren(...pinned.map((row, index) => {
      const line = this.line({ row }, -1);
      for (const each of line.children) each.style.top = `${ROW * (index + 1)}px`;
      return line;
    }));
    this.table.setAttribute("aria-rowcount", this.length() + 1);
    this.refresh();
  }

  measure() {
    const { columns } = this;
    const widths = { number: 132, status: 112, time: 104, span: 112, tags: 240, text: 152 };
    this.group.replaceChildren(h("col", { class: "pick" }), h("col", { class: "name" }), ...columns.map((column) => {
      const col = h("col");
      const more = column.kind === "number" ? (this.base || this.wider ? 64 : 0) + (this.drawnSmall === column.id ? 72 : 0) : 0;
      col.style.width = `${Math.min(widths[column.kind] + Math.max((column.label.length - 14) * 6, more), 280)}px`;
      return col;
    }));
    this.table.style.width = `${[...this.group.children].reduce((sum, col) => sum + (parseFloat(col.style.width) || (col.className === "pick" ? 40 : 248)), 0)}px`;
  }

  // Room for small histories in a column.
  widen(id) {
    if (this.drawnSmall === id) return;
    this.drawnSmall = id;
    this.measure();
  }

  // The rows in sight again; for values that changed.
  refresh() {
    for (const line of this.live.values()) line.remove();
    this.live.clear();
    this.window();
  }

  heading() {
    const every = h("input", { type: "checkbox", aria: { label: "Select all rows that are loaded" }, onchange: () => this.onselect("all", every.checked) });
    this.every = every;
    return h("tr", {}, h("th", { class: "pick" }, every), h("th", { class: "name", scope: "col" }, "Run"), this.columns.map((column) => {
      const label = h("span", { class: "label", title: column.id }, column.label);
      const order = this.order(column.id);
      return h("th", { scope: "col", class: ["number", "span"].includes(column.kind) ? "number" : "", aria: order ? { sort: order } : {}, data: { column: column.id } },
        column.href ? h("button", { type: "button", class: "sort", title: `Order by ${column.label}; with Shift as a further order`, onclick: (event) => this.sort(column.id, event.shiftKey) }, label, h("span", { class: "mark", aria: { hidden: true } }, { ascending: "↑", descending: "↓" }[order] ?? "")) : label);
    }));
  }

  order(id) {
    const sort = state.all("sort");
    return sort.includes(`-${id}`) ? "descending" : sort.includes(id) ? "ascending" : "";
  }

  sort(id, more) {
    const now = this.order(id);
    const turned = now === "descending" ? id : now === "ascending" ? "" : `-${id}`;
    const others = more ? state.all("sort").filter((each) => each !== id && each !== `-${id}`) : [];
    state.set({ sort: [...others, turned] });
  }

  window() {
    const length = this.length();
    const above = (this.pins.children.length + 1) * ROW;
    const first = Math.max(Math.floor((this.box.scrollTop) / ROW) - AROUND, 0);
    const last = Math.min(Math.ceil((this.box.scrollTop + this.box.clientHeight - above) / ROW) + AROUND, length);
    for (const [index, line] of this.live) {
      if (index >= first && index < last && !line.classList.contains("waiting")) continue;
      if (index < first || index >= last || this.item(index)) { line.remove(); this.live.delete(index); }
    }
    let next = this.after;
    for (let index = last - 1; index >= first; index -= 1) {
      let line = this.live.get(index);
      if (!line) {
        const item = this.item(index);
        line = item ? this.line(item, index) : this.waiting(index);
        this.live.set(index, line);
        this.body.insertBefore(line, next);
      }
      next = line;
    }
    this.before.style.height = `${first * ROW}px`;
    this.after.style.height = `${Math.max(length - last, 0) * ROW}px`;
    this.first = first;
    this.last = last;
    for (let index = first; index < last; index += 1) if (!this.item(index)) { this.need(index); break; }
    this.drawn([...this.live.values()]);
  }

  line(item, index) {
    if (item.group) return this.groupLine(item, index);
    const { row } = item;
    const chosen = this.selected.has(row.id);
    const base = row.id === this.baseline ? null : this.base;
    const pick = h("input", { type: "checkbox", checked: chosen, aria: { label: `Select ${row.label}` } });
    const hidden = state.all("hide").includes(row.id);
    const classes = [index === this.marked ? "marked" : "", chosen ? "chosen" : "", ["failed", "crashed"].includes(row.status) ? "bad" : "", item.inside ? "inside" : "", hidden ? "hidden-run" : ""];
    return h("tr", { class: classes.filter(Boolean).join(" "), data: { id: row.id, index }, aria: index >= 0 ? { rowindex: index + 2 } : {} },
      h("td", { class: "pick" }, pick),
      h("th", { class: "name", scope: "row" },
        h("span", { class: `swatch s${row.slot}`, aria: { hidden: true } }),
        h("a", { href: row.href, title: `${row.label} · ${row.id}` }, row.label),
        h("span", { class: "faint" }, row.experiment),
        h("span", { class: "acts" },
          h("button", { type: "button", data: { act: "hide" }, title: hidden ? "Show in charts" : "Hide from charts", aria: { label: hidden ? "Show in charts" : "Hide from charts", pressed: hidden } }, icon(hidden ? "shut" : "eye")),
          h("button", { type: "button", data: { act: "pin" }, title: "Pin to the top", aria: { label: `Pin ${row.label}`, pressed: state.all("pin").includes(row.id) } }, icon("pin")),
          h("button", { type: "button", data: { act: "base" }, title: "Compare all others with it", aria: { label: `Baseline ${row.label}`, pressed: row.id === this.baseline } }, icon("delta")))),
      this.columns.map((column, place) => cell(column, row.cells[place], row, base?.cells[place])));
  }

  groupLine({ group, open }, index) {
    const fold = h("button", { type: "button", class: "fold", data: { act: "fold" }, aria: { expanded: open, label: `Runs of ${group.label}` } }, open ? "▾" : "▸");
    return h("tr", { class: `grouped${index === this.marked ? " marked" : ""}`, data: { index } }, h("td", { class: "pick" }, fold),
      h("th", { class: "name", scope: "row" }, h("span", { class: `swatch s${group.slot}` }), h("b", { title: group.label }, group.label), h("span", { class: "faint" }, counted(group.runs, "run"))),
      this.columns.map((column, place) => {
        const at = place - (this.columns.length - group.cells.length);
        if (at >= 0) return aggregate(column, group.cells[at]);
        return h("td", {}, column.id === "status" && group.running ? h("span", { class: "badge tone-busy" }, `${figure(group.running)} running`) : "");
      }));
  }

  waiting(index) {
    return h("tr", { class: "waiting", data: { index } }, h("td", { class: "pick" }), h("th", { class: "name" }, "…"), this.columns.map(() => h("td")));
  }

  press(event) {
    const line = event.target.closest("tr");
    if (!line) return;
    const { id } = line.dataset;
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act === "fold") this.ongroup(Number(line.dataset.index));
    else if (act === "pin") state.toggle("pin", id);
    else if (act === "hide") state.toggle("hide", id);
    else if (act === "base") state.set({ base: state.get("base") === id ? "" : id });
    else if (event.target.matches("input[type=checkbox]")) this.onselect(id, event.target.checked, event.shiftKey ? Number(line.dataset.index) : -1);
    else if (event.target.matches("a, button")) return;
    else this.mark(Number(line.dataset.index));
  }

  mark(index) {
    this.live.get(this.marked)?.classList.remove("marked");
    this.marked = index;
    this.live.get(index)?.classList.add("marked");
  }

  move(by) {
    const index = Math.min(Math.max(this.marked + by, 0), this.length() - 1);
    if (index < 0) return;
    const above = (this.pins.children.length + 1) * ROW;
    const top = index * ROW, room = this.box.clientHeight - above - ROW;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top > this.box.scrollTop + room) this.box.scrollTop = top - room;
    this.window();
    this.mark(index);
  }
}
