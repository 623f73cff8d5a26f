// Which columns the table has: found by name among all keys of the store, put in order, taken away.
import { debounce, h, menu } from "../dom.js";
import { icon } from "../icons.js";
import { state } from "../state.js";
import { keys } from "./filter.js";

const ATTRIBUTES = ["experiment", "user", "group", "note", "finished_at", "run_id", "parent", "tags"];

export function columnsMenu({ shown, experiments }) {
  return menu(iconed("columns", "Columns"), () => {
    let now = shown();
    const chosen = h("ol", { class: "chosen" });
    const found = h("ul", { class: "found" });
    const search = h("input", { type: "search", placeholder: "Find a metric, parameter or tag", spellcheck: false, aria: { label: "Find a column" } });
    const set = (next) => { now = next; state.set({ col: next }, { keep: true }); draw(); };
    const move = (index, by) => { const next = [...now]; next.splice(index + by, 0, ...next.splice(index, 1)); set(next); };
    const draw = () => {
      chosen.replaceChildren(...now.map((id, index) => h("li", { draggable: true, data: { index },
        ondragstart: (event) => event.dataTransfer.setData("text/plain", String(index)),
        ondragover: (event) => event.preventDefault(),
        ondrop: (event) => { event.preventDefault(); const from = Number(event.dataTransfer.getData("text/plain")); move(from, index - from); } },
        h("span", { class: "grow", title: id }, id),
        h("button", { type: "button", class: "tiny", disabled: !index, aria: { label: `${id} to the left` }, onclick: () => move(index, -1) }, "↑"),
        h("button", { type: "button", class: "tiny", disabled: index === now.length - 1, aria: { label: `${id} to the right` }, onclick: () => move(index, 1) }, "↓"),
        h("button", { type: "button", class: "tiny", aria: { label: `Remove ${id}` }, onclick: () => set(now.filter((each) => each !== id)) }, icon("close")))));
      for (const box of found.querySelectorAll("input")) box.checked = now.includes(box.value);
    };
    const look = async () => {
      const text = search.value.trim();
      const dot = text.match(/^(metric|param|tag)s?\.(.*)$/);
      const answers = await keys(dot?.[1] ?? "", dot ? dot[2] : text, experiments(), 200).catch(() => []);
      const attributes = ATTRIBUTES.filter((each) => each.includes(text)).map((id) => ({ id, about: "" }));
      const offered = [...attributes, ...answers].flatMap((each) => each.id.startsWith("metrics.") && text ? [each, { ...each, id: `${each.id}#min`, about: "least" }, { ...each, id: `${each.id}#max`, about: "greatest" }] : [each]);
      found.replaceChildren(...offered.slice(0, 200).map((each) => h("li", {}, h("label", {},
        h("input", { type: "checkbox", value: each.id, checked: now.includes(each.id), onchange: (event) => set(event.target.checked ? [...now, each.id] : now.filter((id) => id !== each.id)) }),
        h("span", { class: "grow", title: each.id }, each.id), h("span", { class: "faint" }, each.about)))));
      if (!found.children.length) found.append(h("li", { class: "nothing" }, "No key begins like this."));
    };
    search.addEventListener("input", debounce(120, look));
    draw();
    look();
    return [search, found, h("h3", {}, "Shown, from the left"), chosen, h("div", { class: "ends" }, h("button", { type: "button", class: "quiet", onclick: () => { state.set({ col: [] }, { keep: true }); now = shown(); draw(); } }, "As at the start"))];
  }, { title: "Columns of the table", className: "with-icon" });
}

export function groupMenu({ experiments }) {
  return menu(iconed("group", "Group"), () => {
    const list = h("ul", { class: "found" });
    const search = h("input", { type: "search", placeholder: "Find a parameter or tag", spellcheck: false, aria: { label: "Find what to group by" } });
    const look = async () => {
      const text = search.value.trim();
      const both = await Promise.all(["param", "tag"].map((space) => keys(space, text, experiments(), 100).catch(() => [])));
      const offered = [...["group", "experiment", "user", "status"].filter((each) => each.includes(text)).map((id) => ({ id, about: "" })), ...both.flat()];
      const now = state.all("group");
      offered.sort((a, b) => now.includes(b.id) - now.includes(a.id));
      list.replaceChildren(...offered.map((each) => h("li", {}, h("label", {}, h("input", { type: "checkbox", value: each.id, checked: now.includes(each.id), onchange: () => state.toggle("group", each.id) }), h("span", { class: "grow" }, each.id), h("span", { class: "faint" }, each.about)))));
    };
    search.addEventListener("input", debounce(120, look));
    look();
    return [search, list, h("div", { class: "ends" }, h("button", { type: "button", class: "quiet", onclick: () => state.set({ group: [] }) }, "No groups"))];
  }, { title: "Group runs by", className: "with-icon" });
}

export function iconed(name, label) { return h("span", { class: "iconed" }, icon(name), label); }
