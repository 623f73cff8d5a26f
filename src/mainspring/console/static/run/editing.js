// What may be changed of a run: its name, its tags, its notes, whether it is there at all.
import { call } from "../api.js";
import { h, say } from "../dom.js";
import { icon } from "../icons.js";
import { markdown } from "../markdown.js";

export function setUpEditing() {
  const tools = document.getElementById("run-tools");
  if (!tools || !tools.dataset.tracked || tools.firstChild) return;
  const id = tools.dataset.run;
  const attempt = async (work) => { try { await work(); return true; } catch (error) { say(error.message, { bad: true }); return false; } };
  const title = document.getElementById("run-title");
  tools.append(
    h("button", { class: "button", type: "button", onclick: () => rename() }, icon("edit"), "Rename"),
    h("a", { class: "button", href: `${document.body.dataset.base}/compare?run=${id}` }, icon("compare"), "Compare"),
    tools.dataset.deleted
      ? h("button", { class: "button", type: "button", onclick: () => remove("tracking.restore_runs", "The run is restored.") }, "Restore")
      : h("button", { class: "button", type: "button", onclick: () => remove("tracking.delete_runs", "The run is deleted; it can be restored.") }, icon("trash"), "Delete"));

  const remove = async (operation, text) => { if (await attempt(() => call(operation, { run_ids: [id] }))) { say(text); setTimeout(() => location.reload(), 600); } };
  function rename() {
    const input = h("input", { type: "text", value: tools.dataset.label, maxLength: 500, aria: { label: "Name of the run" } });
    const done = async (keep) => {
      const text = input.value.trim();
      if (keep && text && text !== tools.dataset.label && await attempt(() => call("tracking.change_run", { run_id: id, title: text }))) { tools.dataset.label = text; title.textContent = text; document.title = `${text} · Mainspring`; }
      form.replaceWith(title);
    };
    const form = h("form", { class: "line", onsubmit: (event) => { event.preventDefault(); done(true); } }, input, h("button", { class: "button" }, "Save"));
    input.addEventListener("keydown", (event) => { if (event.key === "Escape") done(false); });
    title.replaceWith(form);
    input.select();
  }

  const tags = document.getElementById("run-tags");
  const drawTag = (name, value) => h("span", { class: "chip with-act", data: { tag: name } }, value ? `${name}: ${value}` : name,
    h("button", { type: "button", aria: { label: `Remove the tag ${name}` }, onclick: async (event) => { const chip = event.target.closest(".chip"); if (await attempt(() => call("tracking.annotate", { run_ids: [id], tags: { [name]: "" } }))) chip.remove(); } }, "×"));
  for (const chip of tags.querySelectorAll('.chip[data-tag]')) { const { tag } = chip.dataset; chip.replaceWith(drawTag(tag, chip.textContent.slice(tag.length + 2))); }
  const adder = h("button", { type: "button", class: "chip add", onclick: () => {
    const input = h("input", { type: "text", class: "small", placeholder: "name: value", aria: { label: "New tag, as name: value" } });
    const form = h("form", { class: "line", onsubmit: async (event) => {
      event.preventDefault();
      const [, name, value = ""] = input.value.match(/^\s*([^:]+?)\s*(?::\s*(.*?)\s*)?$/) ?? [];
      if (name && await attempt(() => call("tracking.annotate", { run_ids: [id], tags: { [name]: value || "true" } }))) {
        tags.querySelector(`[data-tag="${CSS.escape(name)}"]`)?.remove();
        form.before(drawTag(name, value || "true"));
        form.replaceWith(adder);
      }
    } }, input);
    input.addEventListener("keydown", (event) => { if (event.key === "Escape") form.replaceWith(adder); });
    input.addEventListener("blur", () => { if (!input.value) form.replaceWith(adder); });
    adder.replaceWith(form);
    input.focus();
  } }, "+ tag");
  tags.append(adder);

  const note = document.getElementById("run-note");
  if (note) editable(note, note.dataset.note, (text) => call("tracking.annotate", { run_ids: [id], note: text }));
}

// A text in Markdown that is shown, and edited in its place; Ctrl+Enter keeps it.
export function editable(place, first, keep, nothing = "No notes.") {
  let text = first;
  const draw = () => {
    place.replaceChildren(text ? markdown(text) : h("p", { class: "nothing" }, nothing), h("button", { class: "quiet edit", type: "button", onclick: edit }, icon("edit"), text ? "Edit" : "Write"));
  };
  const edit = () => {
    const area = h("textarea", { rows: Math.min(Math.max(text.split("\n").length + 2, 5), 24), value: text, aria: { label: "Text in Markdown" } });
    const save = async () => {
      try { await keep(area.value); text = area.value; draw(); say("Saved."); } catch (error) { say(error.message, { bad: true }); }
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.stopPropagation(); draw(); }
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    });
    place.replaceChildren(area, h("div", { class: "line" }, h("button", { class: "button primary", type: "button", onclick: save }, "Save"), h("button", { class: "quiet", type: "button", onclick: draw }, "Cancel"), h("span", { class: "faint" }, "Markdown; Ctrl+Enter saves")));
    area.focus();
  };
  draw();
}
