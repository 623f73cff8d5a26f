// Buttons that change something: a call of the API with what stands in `data-values`, said and, where it can be, undone.
import { call } from "./api.js";
import { say } from "./dom.js";

for (const button of document.querySelectorAll("button[data-call]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const values = JSON.parse(button.dataset.values || "{}");
    const form = button.closest("form");
    if (form) for (const [name, value] of new FormData(form)) values[name] = value;
    if (button.dataset.sure && !confirm(button.dataset.sure)) return;
    button.disabled = true;
    try {
      await call(button.dataset.call, values);
      const { undo } = button.dataset;
      sessionStorage.setItem("said", JSON.stringify({ text: button.dataset.said ?? "Done.", undo, values }));
      location.reload();
    } catch (error) {
      say(error.hint ? `${error.message} ${error.hint}` : error.message, { bad: true });
      button.disabled = false;
    }
  });
}
for (const form of document.querySelectorAll("form[data-edit]")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => { event.preventDefault(); form.querySelector("button[data-call]")?.click(); });
}

const said = sessionStorage.getItem("said");
if (said) {
  sessionStorage.removeItem("said");
  const { text, undo, values } = JSON.parse(said);
  say(text, undo ? { action: "Undo", act: async () => { await call(undo, values).catch((error) => say(error.message, { bad: true })); location.reload(); } } : {});
}
