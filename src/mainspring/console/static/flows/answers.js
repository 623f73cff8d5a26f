// The answer of a form as JSON, by the kinds of its fields; the server has the last word on whether it fits.
import { call } from "../api.js";
import { done } from "./acts.js";

export function setUpAnswers() {
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-answer]");
    if (!form) return;
    event.preventDefault();
    const problem = form.querySelector(".problem-line");
    problem.textContent = "";
    let answer;
    try {
      answer = collect(form);
    } catch (error) {
      problem.textContent = error.message;
      return;
    }
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      await call("pipelines.answer", { wait_id: form.dataset.answer, answer });
      done("Answered: the run goes on.");
    } catch (error) {
      problem.textContent = error.hint ? `${error.message} ${error.hint}` : error.message;
      button.disabled = false;
    }
  });
  // What somebody began to fill in is not replaced under their hands.
  document.addEventListener("input", (event) => { const form = event.target.closest("form[data-answer]"); if (form) form.dataset.dirty = "yes"; });
}

export function collect(form) {
  const whole = {};
  for (const field of form.querySelectorAll("[data-field]")) {
    const name = field.dataset.field;
    const value = read(field);
    field.classList.toggle("invalid", value === undefined && "required" in field.dataset);
    if (value === undefined) {
      if ("required" in field.dataset) throw new Error(`${name || "An answer"} is needed.`);
      continue;
    }
    if (!name) return value;
    whole[name] = value;
  }
  return whole;
}

// The value of a field, or undefined when it is empty.
function read(field) {
  const { kind, item } = field.dataset;
  if (kind === "choice" && field.tagName === "FIELDSET") {
    const chosen = field.querySelector("input:checked");
    return chosen ? JSON.parse(chosen.value) : undefined;
  }
  const input = field.querySelector("input, select, textarea");
  const text = input.value;
  if (kind === "text") return text === "" && !("required" in field.dataset) ? undefined : text;
  if (text.trim() === "") return kind === "lines" && "required" in field.dataset ? [] : undefined;
  if (kind === "integer" || kind === "number") return Number(text);
  if (kind === "moment") return new Date(text).toISOString();
  if (kind === "lines") return text.split("\n").map((each) => each.trim()).filter(Boolean).map((each) => (item === "string" ? each : Number(each)));
  if (kind === "choice" || kind === "json") {
    try { return JSON.parse(text); } catch { throw new Error(`${field.dataset.field || "The answer"} is not JSON.`); }
  }
  return text;
}
