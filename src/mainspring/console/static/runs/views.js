// Saved views: a name for an address. Kept by the server, so that everybody who works here has them.
import { call } from "../api.js";
import { h, menu, say } from "../dom.js";
import { icon } from "../icons.js";
import { state } from "../state.js";
import { iconed } from "./columns.js";

const PLACE = new Set(["page", "limit"]);

export function viewsMenu(first, changed) {
  let views = first;
  const address = () => {
    const query = state.query();
    for (const name of PLACE) query.delete(name);
    return String(query);
  };
  return menu(iconed("save", "Views"), (close) => {
    const name = h("input", { type: "text", placeholder: "Name of this view", maxLength: 100, required: true, aria: { label: "Name of this view" } });
    const list = h("ul", { class: "found" });
    const draw = () => {
      list.replaceChildren(...views.map((each) => h("li", {},
        h("a", { class: "grow", href: `?${each.query}`, aria: each.query === address() ? { current: "true" } : {}, onclick: (event) => { event.preventDefault(); close(); go(each.query); } }, each.name),
        h("span", { class: "faint" }, each.created_by),
        h("button", { type: "button", class: "tiny", aria: { label: `Delete the view ${each.name}` }, onclick: () => remove(each) }, icon("trash")))));
      if (!views.length) list.append(h("li", { class: "nothing" }, "None yet. A view keeps the filter, the columns, the order, groups, pins and charts."));
    };
    const save = async (event) => {
      event.preventDefault();
      try {
        const saved = await call("tracking.save_view", { name: name.value.trim(), query: address() });
        views = [...views.filter((each) => each.name !== saved.name), saved].sort((a, b) => a.name.localeCompare(b.name));
        name.value = "";
        draw();
        changed(views);
        say(`The view ${saved.name} is saved.`);
      } catch (error) { say(error.message, { bad: true }); }
    };
    const remove = async (each) => {
      try {
        await call("tracking.delete_view", { name: each.name });
        views = views.filter((other) => other !== each);
        draw();
        changed(views);
        say(`The view ${each.name} is deleted.`, { action: "Undo", act: async () => { views = [...views, await call("tracking.save_view", { name: each.name, query: each.query })]; changed(views); } });
      } catch (error) { say(error.message, { bad: true }); }
    };
    draw();
    return [list, h("form", { class: "line", onsubmit: save }, name, h("button", { class: "button" }, "Save")),
      h("div", { class: "ends" }, h("button", { type: "button", class: "quiet", onclick: async () => { await navigator.clipboard?.writeText(location.href); say("The link is on the clipboard."); } }, "Copy the link"))];
  }, { title: "Saved views", className: "with-icon" });
}

function go(query) {
  history.pushState(null, "", query ? `?${query}` : location.pathname);
  dispatchEvent(new PopStateEvent("popstate"));
}
