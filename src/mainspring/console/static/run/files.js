// The files of a run, with what the chosen one holds beside them.
import { h } from "../dom.js";
import { state } from "../state.js";
import { icon } from "../icons.js";
import { preview } from "./preview.js";

export function show(place) {
  const files = [...place.querySelectorAll("tr[data-path]")].map((row) => ({ path: row.dataset.path, type: row.dataset.type, size: Number(row.dataset.size), said: row.cells[2].textContent }));
  if (!files.length) return;
  const list = h("ul", { class: "tree" });
  const view = h("div", { class: "view" });
  const open = (path) => {
    const file = files.find((each) => each.path === path);
    if (!file) return;
    state.set({ file: path }, { keep: true });
    for (const link of list.querySelectorAll("a[data-path]")) link.toggleAttribute("aria-current", link.dataset.path === path);
    view.replaceChildren(h("div", { class: "view-head" }, h("b", {}, file.path), h("span", { class: "faint" }, file.said), h("a", { class: "button", href: place.dataset.raw + file.path, download: file.path.split("/").pop() }, icon("load"), "Download")), h("p", { class: "faint" }, "…"));
    preview({ raw: place.dataset.raw, path: file.path, type: file.type, size: file.size, run: place.dataset.run }).then((drawn) => view.lastChild.replaceWith(drawn), (error) => view.lastChild.replaceWith(h("p", { class: "nothing" }, error.message)));
  };
  const nest = (items, from) => {
    const folders = new Map(), here = [];
    for (const file of items) {
      const rest = file.path.slice(from), slash = rest.indexOf("/");
      if (slash < 0) here.push(file);
      else { const name = rest.slice(0, slash); if (!folders.has(name)) folders.set(name, []); folders.get(name).push(file); }
    }
    const by = new Intl.Collator("en", { numeric: true }).compare;
    here.sort((a, b) => by(a.path, b.path));
    return [...[...folders].sort(([a], [b]) => by(a, b)).map(([name, members]) => h("li", {}, h("details", { open: members.length <= 20 }, h("summary", {}, name, h("span", { class: "faint" }, ` ${members.length}`)), h("ul", {}, nest(members, from + name.length + 1))))),
      ...here.map((file) => h("li", {}, h("a", { href: place.dataset.raw + file.path, data: { path: file.path }, onclick: (event) => { event.preventDefault(); open(file.path); } }, file.path.slice(from)), h("span", { class: "faint" }, file.said)))];
  };
  list.append(...nest(files, 0));
  place.replaceChildren(list, view);
  open(state.get("file") || (files.find((each) => !each.path.startsWith("logs/")) ?? files[0]).path);
}
