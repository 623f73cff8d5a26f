// Buttons that call an operation: `data-act` with `data-values`, after a question where there is one to ask, and with
// what is typed there. The page is loaded again and says what was done.
import { call } from "../api.js";
import { h, say } from "../dom.js";

export function setUpActs() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button || button.disabled) return;
    const values = JSON.parse(button.dataset.values || "{}");
    if (button.dataset.sure) {
      const more = await sure(button);
      if (!more) return;
      Object.assign(values, more);
    }
    button.disabled = true;
    try {
      await call(button.dataset.act, values);
      done(button.dataset.said, button.dataset.then);
    } catch (error) {
      say(error.hint ? `${error.message} ${error.hint}` : error.message, { bad: true });
      button.disabled = false;
    }
  });
  const said = sessionStorage.getItem("flows-said");
  if (said) { sessionStorage.removeItem("flows-said"); say(said); }
}

export function done(text, then = "") {
  sessionStorage.setItem("flows-said", text);
  if (then) location.assign(then);
  else location.reload();
}

// A question before something is done; the values that were given with the answer, or null.
function sure(button) {
  return new Promise((resolve) => {
    const { sure: question, text, input } = button.dataset;
    const problem = h("p", { class: "problem-line", role: "alert" });
    const read = [];
    const fields = [];
    if (input === "state") {
      const state = h("select", {}, ["finished", "failed", "cancelled"].map((each) => h("option", {}, each)));
      const reason = h("input", { type: "text", maxLength: 500, placeholder: "What was looked at" });
      fields.push(h("label", {}, "It is", state), h("label", {}, "Why", reason));
      read.push(() => ({ state: state.value, reason: reason.value }));
    } else if (input === "output") {
      const area = h("textarea", { rows: 3, spellcheck: false, value: "null" });
      fields.push(h("label", {}, "Its result, as JSON", area));
      read.push(() => ({ output: JSON.parse(area.value || "null") }));
    }
    if (input === "params") {
      const area = h("textarea", { rows: 4, spellcheck: false, value: "{}" });
      fields.push(h("label", {}, "Its parameters, as JSON; what is not here has its default", area));
      read.push(() => {
        const params = JSON.parse(area.value || "{}");
        if (params === null || typeof params !== "object" || Array.isArray(params)) throw new Error();
        return { params };
      });
    }
    const id = `sure-${Date.now()}`;
    const confirm = h("button", { class: `button ${button.classList.contains("danger") ? "danger" : "primary"}`, type: "submit" }, button.textContent.trim().replace("…", ""));
    const form = h("form", { method: "dialog" }, h("h2", { id }, question), text ? h("p", { class: "faint" }, text) : null, ...fields, problem, h("div", { class: "line" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Not now"), confirm));
    const dialog = h("dialog", { class: "sure", aria: { labelledby: id } }, form);
    let answer = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try { answer = Object.assign({}, ...read.map((each) => each())); } catch { problem.textContent = input === "params" ? "That is not an object of JSON." : "That is not JSON."; return; }
      dialog.close();
    });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); button.focus(); });
    document.body.append(dialog);
    dialog.showModal();
    (fields.length ? fields[0].querySelector("select, textarea, input") : confirm).focus();
  });
}
