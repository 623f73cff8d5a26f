// The charts of the first runs of the table, with the runs beside them: shown, hidden, lit.
import { page } from "../api.js";
import { h } from "../dom.js";
import { Board } from "../board/board.js";
import { icon } from "../icons.js";
import { state } from "../state.js";

const NUMBERS = [10, 20, 50, 100, 200];
let board = null;

export async function show(stage, { everyRow, names, rows }) {
  const most = Number(state.get("n", "20"));
  if (!names || !board?.root.isConnected || names.has("n")) {
    const chosen = everyRow().filter((row) => row.id).slice(0, most);
    if (rows.head.grouped.length || chosen.length < Math.min(most, rows.total)) chosen.splice(0, Infinity, ...(await first(rows, most)));
    await draw(stage, chosen, rows);
  }
  legend(stage);
}

async function first(rows, most) {
  const query = state.query();
  const by = query.getAll("group");
  query.delete("group");
  query.delete("show");
  query.set("limit", most);
  for (const each of by) if (!query.getAll("col").includes(each)) query.append("col", each);
  const found = await page(document.getElementById("runs").dataset.path, query);
  const places = by.map((each) => found.columns.findIndex((column) => column.id === each));
  const slots = new Map();
  return [...new Map([...found.pinned, ...found.rows].map((row) => [row.id, row])).values()].map((row) => {
    if (!by.length) return row;
    const group = places.map((place) => row.cells[place] ?? "none").join(", ");
    if (!slots.has(group)) slots.set(group, slots.size);
    return { ...row, group, groupSlot: slots.get(group) };
  });
}

async function draw(stage, runs, rows) {
  const keys = runs.length ? (await page("/charts", new URLSearchParams(runs.map((run) => ["run", run.id])))).keys : [];
  const shown = runs.map((run) => ({ ...run, group: rows.head.grouped.length ? run.group : "" }));
  const place = h("div", { class: "board" });
  stage.replaceChildren(h("div", { class: "with-legend" }, h("aside", { class: "legend card", aria: { label: "Runs in the charts" } }), place));
  board = new Board(place, { runs: shown, keys, baseline: state.get("base"), onhighlight: (id) => {
    for (const each of stage.querySelectorAll(".legend li")) each.classList.toggle("lit", each.dataset.id === id);
  } });
}

function legend(stage) {
  const hidden = new Set(state.all("hide"));
  const many = h("select", { aria: { label: "How many runs are drawn" }, onchange: () => state.set({ n: many.value === "20" ? "" : many.value }) }, NUMBERS.map((each) => h("option", { value: each }, `first ${each}`)));
  many.value = state.get("n", "20");
  const list = h("ul", {}, board.all.map((run) => h("li", { data: { id: run.id }, class: hidden.has(run.id) ? "off" : "", onpointerenter: () => board.light(run.id), onpointerleave: () => board.light("") },
    h("button", { type: "button", class: "tiny", aria: { label: `${hidden.has(run.id) ? "Show" : "Hide"} ${run.label}`, pressed: !hidden.has(run.id) }, onclick: () => state.toggle("hide", run.id) }, icon(hidden.has(run.id) ? "shut" : "eye")),
    h("span", { class: `swatch s${run.slot}`, aria: { hidden: true } }), h("a", { href: run.href, title: run.label }, run.label), run.status === "running" ? h("span", { class: "pulse", title: "running" }) : "")));
  const all = h("button", { type: "button", class: "quiet", onclick: () => state.set({ hide: hidden.size ? [] : board.all.map((run) => run.id) }) }, hidden.size ? "Show all" : "Hide all");
  stage.querySelector(".legend").replaceChildren(h("div", { class: "legend-head" }, many, all), list);
}
