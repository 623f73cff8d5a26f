// The page of runs: the address says what is shown, this keeps the two alike.
import { download, h, say } from "../dom.js";
import { page } from "../api.js";
import { state } from "../state.js";
import { counted } from "../words.js";
import { selectionBar, csv } from "./actions.js";
import { columnsMenu, groupMenu, iconed } from "./columns.js";
import { setUpFilter } from "./filter.js";
import { Rows } from "./rows.js";
import { drawSparks, forget } from "./sparks.js";
import { Table } from "./table.js";
import { viewsMenu } from "./views.js";

const EVERY = 4000;
// These change how the runs are shown, not which they are.
const QUIET = new Set(["hide", "smooth", "x", "y", "outliers", "keys", "band", "colour", "n", "zoom", "axes", "size", "px", "py", "brush"]);

const root = document.getElementById("runs");
if (root && !root.dataset.bare) start();

async function start() {
  const selected = new Set();
  const open = new Map();
  let items = null, tools = null, table = null, lastPicked = -1, showing = "";
  const rows = new Rows(root.dataset.path, () => changed());
  const experiments = () => state.all("experiment");
  const first = await page(root.dataset.path, withLimit(), {}).catch((error) => { say(error.message, { bad: true }); return null; });
  if (!first) { document.addEventListener("server-back", () => location.reload(), { once: true }); return; }

  const count = h("span", { class: "count", role: "status" });
  const fresh = h("button", { class: "button fresh", type: "button", hidden: true, onclick: () => reload(true) });
  const filterBox = h("div", { class: "grow" });
  const stage = h("div", { class: "stage" });
  const filter = setUpFilter(filterBox, { value: state.get("q"), apply: (text) => state.set({ q: text }), experiments, valuesOf });
  const picker = experimentPicker(first.experiments);
  const columns = columnsMenu({ shown: () => state.all("col").length ? state.all("col") : rows.head.columns.slice(3).map((each) => each.id), experiments });
  const groups = groupMenu({ experiments });
  const views = viewsMenu(first.views, () => {});
  const exporting = h("button", { class: "button", type: "button", title: "All runs that match, with the columns shown", onclick: async () => download("runs.csv", csv(rows.head.columns, await rows.all()), "text/csv") }, iconed("load", "CSV"));
  const selection = selectionBar({ selected, clear: () => { selected.clear(); table.refresh(); selection.draw(); }, rows: () => everyRow(), columns: () => rows.head.columns, reload: () => reload() });
  const tabs = h("div", { class: "tabs", role: "tablist", aria: { label: "How runs are shown" } }, ["table", "charts", "parallel", "scatter"].map((each) => h("button", { type: "button", role: "tab", id: `tab-${each}`, data: { show: each }, onclick: () => state.set({ show: each === "table" ? "" : each }) }, each[0].toUpperCase() + each.slice(1))));
  tools = h("div", { class: "tools" }, picker, filterBox, statusPicker(), columns.root, groups.root, views.root, exporting);
  root.replaceChildren(h("div", { class: "workspace" }, tabs, tools, selection.bar, h("div", { class: "under" }, count, fresh), stage));
  table = new Table(h("div", { class: "card flush" }), {
    item: (index) => items ? items[index] : rows.rows[index] && { row: rows.rows[index] },
    length: () => items ? items.length : Math.max(rows.total, rows.rows.length),
    need: (index) => { if (!items) rows.need(index); },
    selected,
    onselect: select,
    ongroup: fold,
    drawn: () => drawSparks(table, sparkKeys()),
  });

  let given = first;
  await load();
  state.listen((names) => {
    filter.set(state.get("q"));
    picker.querySelector("select").value = state.get("experiment");
    const quiet = names && [...names].every((name) => QUIET.has(name) || name === "show");
    if (quiet) show(names); else load();
  });
  setInterval(live, EVERY);
  document.addEventListener("server-back", live);
  document.addEventListener("visibilitychange", live);
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (/^[1-4]$/.test(event.key)) tabs.children[Number(event.key) - 1].click();
    if (event.key === "x" && table.marked >= 0) { const row = items ? items[table.marked]?.row : rows.rows[table.marked]; if (row) { select(row.id, !selected.has(row.id)); table.refresh(); } }
    if (event.key === "q") { event.preventDefault(); filter.input.focus(); }
  });

  async function load() {
    try {
      if (given) { rows.start(state.query(), given); given = null; }
      else await rows.begin(state.query());
    } catch (error) { if (error.status) say(error.message, { bad: true }); return; }
    const { head } = rows;
    filter.problem(head.problem, head.query, head.problem_at);
    open.clear();
    items = head.grouped.length ? head.groups.map((group) => ({ group, open: false })) : null;
    show(null);
  }

  function changed() {
    const { head, total } = rows;
    if (!head) return;
    count.textContent = items ? `${counted(items.filter((each) => each.group).length, "group")} of ${counted(total, "run")}` : `${counted(Math.max(total, 0), "run")}`;
    if (showing === "table" && table.columns.length) table.window();
  }

  async function show(names) {
    const now = ["charts", "parallel", "scatter"].includes(state.get("show")) ? state.get("show") : "table";
    for (const tab of tabs.children) tab.setAttribute("aria-selected", String(tab.dataset.show === now));
    columns.root.hidden = exporting.hidden = now === "charts";
    const { head } = rows;
    changed();
    if (now === "table") {
      showing = now;
      if (stage.firstChild !== table.root) stage.replaceChildren(table.root);
      if (head.problem) stage.replaceChildren(h("div", { class: "card" }, h("p", { class: "nothing" }, "The filter above cannot be read.")));
      else if (!items && !rows.rows.length && !head.pinned.length) stage.replaceChildren(h("div", { class: "card" }, h("p", { class: "nothing" }, head.unknown.length ? `No run matches; none has ${head.unknown.join(", ")}.` : "No run matches."), h("p", {}, h("button", { class: "button", type: "button", onclick: () => state.set({ q: "", status: "", experiment: [] }) }, "Show all runs"))));
      else { table.wider = !!items; table.draw(head.columns, head.pinned, head.baseline); }
      selection.draw();
      return;
    }
    const again = showing === now && names;
    showing = now;
    const module = await import({ charts: "./charts_tab.js", parallel: "../compare/parallel.js", scatter: "../compare/scatter.js" }[now]);
    if (showing !== now) return;
    module.show(stage, { rows, everyRow, names: again ? names : null, experiments });
  }

  async function reload(top = false) {
    fresh.hidden = true;
    if (top) table.box.scrollTop = 0;
    await load();
  }

  async function live() {
    if (document.hidden || !rows.head || items || document.querySelector("button.live[aria-pressed=true]")) return;
    try {
      const grown = await rows.refresh(table.first ?? 0, table.last ?? 0);
      if (grown) {
        if (showing !== "table" || table.box.scrollTop < 40) await reload();
        else { fresh.hidden = false; fresh.textContent = grown > 0 ? `${counted(grown, "new run")}` : `${counted(-grown, "run")} gone`; }
      } else if (showing === "table") {
        const running = rows.rows.slice(table.first, table.last).filter((row) => row.status === "running").map((row) => row.id);
        forget(new Set(running));
        table.refresh();
      } else document.dispatchEvent(new CustomEvent("runs-live"));
    } catch { /* said by the strip above the page */ }
  }

  function select(id, on, to = -1) {
    if (id === "all") for (const row of everyRow()) { if (on) selected.add(row.id); else selected.delete(row.id); }
    else if (on) selected.add(id);
    else selected.delete(id);
    const index = to >= 0 ? to : rows.rows.findIndex((row) => row?.id === id);
    if (to >= 0 && lastPicked >= 0 && !items) for (let each = Math.min(lastPicked, to); each <= Math.max(lastPicked, to); each += 1) if (rows.rows[each]) selected.add(rows.rows[each].id);
    lastPicked = index;
    for (const line of [...table.live.values(), ...table.pins.children]) {
      const chosen = selected.has(line.dataset.id);
      line.classList.toggle("chosen", chosen);
      const box = line.querySelector("input[type=checkbox]");
      if (box) box.checked = chosen;
    }
    selection.draw();
  }

  function everyRow() {
    const all = items ? items.filter((each) => each.row).map((each) => each.row) : rows.rows.filter(Boolean);
    return [...new Map([...rows.head.pinned, ...all].map((row) => [row.id, row])).values()];
  }

  async function fold(index) {
    const item = items[index];
    if (item.open) {
      item.open = false;
      let end = index + 1;
      while (items[end]?.inside) end += 1;
      items.splice(index + 1, end - index - 1);
    } else {
      const query = state.query();
      query.delete("group");
      const now = state.get("q");
      query.set("q", now ? `(${now}) AND ${item.group.within}` : item.group.within);
      query.delete("col");
      for (const column of rows.head.columns.slice(3)) query.append("col", column.id);
      query.set("limit", 200);
      const found = await page(root.dataset.path, query).catch((error) => { say(error.message, { bad: true }); return null; });
      if (!found) return;
      item.open = true;
      items.splice(index + 1, 0, ...found.rows.map((row) => ({ row, inside: true })));
    }
    table.refresh();
  }

  function sparkKeys() {
    const wanted = state.get("spark");
    if (wanted) return wanted === "none" ? [] : [wanted];
    return table.columns.filter((column) => column.id.startsWith("metrics.") && !column.id.includes("#")).map((column) => column.id.slice(8));
  }

  async function valuesOf(key) {
    const place = rows.head?.columns.findIndex((column) => column.id === key) ?? -1;
    let found = place >= 0 ? rows.rows.map((row) => row.cells[place]) : [];
    if (!found.length) {
      const query = new URLSearchParams([["col", key], ["limit", 300], ...experiments().map((each) => ["experiment", each])]);
      const answer = await page(root.dataset.path, query).catch(() => null);
      const at = answer?.columns.findIndex((column) => column.id === key) ?? -1;
      found = at >= 0 ? answer.rows.map((row) => row.cells[at]) : [];
    }
    return [...new Set(found.filter((each) => each !== null && each !== "" && typeof each !== "object"))].slice(0, 60);
  }
}

function withLimit() {
  const query = state.query();
  query.set("limit", 200);
  return query;
}

function experimentPicker(experiments) {
  const select = h("select", { aria: { label: "Experiment" }, onchange: () => state.set({ experiment: select.value ? [select.value] : [], col: [], pin: [], base: "" }) },
    h("option", { value: "" }, "All experiments"), experiments.map((each) => h("option", { value: each.name }, `${each.name} (${each.runs.toLocaleString("en-US")})`)));
  const now = state.get("experiment");
  if (now && !experiments.some((each) => each.name === now)) select.append(h("option", { value: now }, now));
  select.value = now;
  return h("div", {}, select);
}

function statusPicker() {
  const select = h("select", { aria: { label: "Status" }, onchange: () => {
    const deleted = select.value === "deleted";
    state.set({ status: deleted ? "" : select.value, view: deleted ? "deleted" : "" });
  } }, h("option", { value: "" }, "Any status"), ["running", "finished", "failed", "cancelled", "crashed"].map((each) => h("option", { value: each }, each)), h("option", { value: "deleted" }, "deleted runs"));
  const draw = () => { select.value = state.get("view") === "deleted" ? "deleted" : state.get("status"); };
  draw();
  state.listen(draw);
  return h("div", {}, select);
}
