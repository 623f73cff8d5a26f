// What can be done with the runs that are selected.
import { call } from "../api.js";
import { download, h, menu, say } from "../dom.js";
import { state } from "../state.js";
import { counted } from "../words.js";
import { iconed } from "./columns.js";

export function selectionBar({ selected, clear, rows, columns, reload }) {
  const count = h("b");
  const base = document.body.dataset.base;
  const ids = () => [...selected];
  const compare = h("a", { class: "button primary" }, iconed("compare", "Compare"));
  const remove = h("button", { class: "button", type: "button", onclick: () => act() }, iconed("trash", "Delete"));
  const tag = menu(iconed("tag", "Tag"), (close) => {
    const key = h("input", { type: "text", placeholder: "Name", required: true, aria: { label: "Name of the tag" } });
    const value = h("input", { type: "text", placeholder: "Value; empty removes", aria: { label: "Value of the tag" } });
    return h("form", { class: "line", onsubmit: async (event) => {
      event.preventDefault();
      try {
        await call("tracking.annotate", { run_ids: ids(), tags: { [key.value.trim()]: value.value.trim() } });
        close();
        say(`${counted(selected.size, "run")} tagged.`);
        reload();
      } catch (error) { say(error.message, { bad: true }); }
    } }, key, value, h("button", { class: "button" }, "Set"));
  }, { title: "Set a tag", className: "with-icon" });
  const act = async () => {
    const chosen = ids(), back = state.get("view") === "deleted";
    try {
      await call(back ? "tracking.restore_runs" : "tracking.delete_runs", { run_ids: chosen });
      clear();
      reload();
      say(`${counted(chosen.length, "run")} ${back ? "restored" : "deleted"}.`, { action: "Undo", act: async () => { await call(back ? "tracking.delete_runs" : "tracking.restore_runs", { run_ids: chosen }); reload(); } });
    } catch (error) { say(error.message, { bad: true }); }
  };
  const bar = h("div", { class: "selection", hidden: true, role: "group", aria: { label: "Selected runs" } }, count, compare,
    h("button", { class: "button", type: "button", onclick: () => state.set({ pin: [...new Set([...state.all("pin"), ...ids()])] }) }, iconed("pin", "Pin")),
    tag.root,
    h("button", { class: "button", type: "button", onclick: () => download("runs.csv", csv(columns(), rows().filter((row) => selected.has(row.id))), "text/csv") }, iconed("load", "CSV")),
    remove,
    h("button", { class: "quiet", type: "button", onclick: clear }, "Clear"));
  return {
    bar,
    draw() {
      bar.hidden = !selected.size;
      count.textContent = `${counted(selected.size, "run")} selected`;
      compare.href = `${base}/compare?${new URLSearchParams(ids().slice(0, 200).map((id) => ["run", id]))}`;
      remove.replaceChildren(state.get("view") === "deleted" ? iconed("load", "Restore") : iconed("trash", "Delete"));
    },
  };
}

export function csv(columns, rows) {
  const field = (value) => {
    const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    return /[",\n\r]/.test(text) || /^[=+@\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [["run_id", "name", ...columns.map((each) => each.id)], ...rows.map((row) => [row.id, row.label, ...row.cells])].map((line) => line.map(field).join(",")).join("\r\n");
}
