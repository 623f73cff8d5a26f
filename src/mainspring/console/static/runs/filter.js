// The filter: words of the search with completion of keys, operators and values, and errors shown where they are.
import { call } from "../api.js";
import { debounce, h } from "../dom.js";
import { quoted } from "../words.js";

const SPACES = ["metrics.", "params.", "tags.", "NOT", "("];
const ATTRIBUTES = ["status", "started_at", "finished_at", "duration", "title", "run_id", "user", "group", "note", "experiment", "parent", "file"];
const STATUSES = ["running", "finished", "failed", "cancelled", "crashed"];
const NUMERIC = [">", ">=", "<", "<=", "=", "!=", "BETWEEN", "IS NULL", "IS NOT NULL"];
const TEXTUAL = ["=", "!=", "LIKE", "ILIKE", "CONTAINS", "=~", "IN", "BETWEEN", "IS NULL", "IS NOT NULL", ">", "<"];
const TOKEN = /\s*(`[^`]*`?|"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|[()]|,|[<>!=]=?~?|=~|[^\s()<>!=,'"`]+(?:`[^`]*`?)?)/gy;

export function setUpFilter(root, { value, apply, experiments, valuesOf }) {
  const input = h("input", { type: "search", id: "filter", value, spellcheck: false, autocomplete: "off", role: "combobox", placeholder: "metrics.loss < 0.3 AND params.family = 'forest'", aria: { label: "Filter runs", expanded: false, controls: "filter-list", autocomplete: "list" } });
  const list = h("ul", { id: "filter-list", class: "suggestions", role: "listbox", hidden: true, aria: { label: "Suggestions" } });
  const wrong = h("div", { class: "filter-problem", role: "alert", hidden: true });
  root.replaceChildren(h("div", { class: "filter" }, input, list), wrong);
  let found = [], at = -1, turn = 0;

  const hide = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); at = -1; };
  const draw = () => {
    list.replaceChildren(...found.map((each, index) => h("li", { role: "option", id: `filter-${index}`, aria: { selected: index === at }, onpointerdown: (event) => { event.preventDefault(); take(index); } },
      h("span", {}, each.label), h("span", { class: "faint" }, each.about ?? ""))));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(!!found.length));
    if (at >= 0) { input.setAttribute("aria-activedescendant", `filter-${at}`); list.children[at]?.scrollIntoView({ block: "nearest" }); } else input.removeAttribute("aria-activedescendant");
  };
  const suggest = async () => {
    const mine = ++turn;
    const place = where(input.value, input.selectionStart ?? input.value.length);
    const answers = await candidates(place, { experiments: experiments(), valuesOf }).catch(() => []);
    if (mine !== turn || document.activeElement !== input) return;
    found = answers.slice(0, 40).map((each) => ({ ...each, place }));
    at = -1;
    draw();
  };
  const soon = debounce(80, suggest);
  const take = (index) => {
    const { text, place } = found[index];
    const rest = input.value.slice(place.end);
    const put = text.endsWith(".") || rest.startsWith(" ") ? text : `${text} `;
    input.value = input.value.slice(0, place.start) + put + rest;
    const caret = place.start + put.length;
    input.setSelectionRange(caret, caret);
    hide();
    suggest();
  };
  const run = () => { hide(); apply(input.value.trim()); };

  input.addEventListener("input", soon);
  input.addEventListener("focus", soon);
  input.addEventListener("click", soon);
  input.addEventListener("blur", () => { turn += 1; hide(); });
  input.addEventListener("search", () => { if (!input.value) run(); });
  input.addEventListener("keydown", (event) => {
    const { key } = event;
    if ((key === "ArrowDown" || key === "ArrowUp") && !list.hidden) {
      event.preventDefault();
      at = (at + (key === "ArrowDown" ? 1 : -1) + found.length + (at < 0 && key === "ArrowUp" ? 1 : 0)) % found.length;
      draw();
    } else if (key === "Tab" && !list.hidden && found.length) {
      event.preventDefault();
      take(Math.max(at, 0));
    } else if (key === "Enter") {
      event.preventDefault();
      if (at >= 0 && !list.hidden) take(at); else run();
    } else if (key === "Escape") {
      if (list.hidden) input.blur();
      hide();
    }
  });
  return {
    input,
    set(text) { if (document.activeElement !== input) input.value = text; },
    problem(text, query, position) {
      input.setAttribute("aria-invalid", String(!!text));
      wrong.hidden = !text;
      if (!text) return;
      const known = position >= 0 && position <= query.length;
      const end = known ? position + Math.max(query.slice(position).search(/[\s)]|$/), 1) : 0;
      wrong.replaceChildren(h("p", {}, text), known ? h("code", {}, query.slice(0, position), h("mark", {}, query.slice(position, end) || " "), query.slice(end)) : "");
      if (known && document.activeElement === input) input.setSelectionRange(position, Math.min(end, query.length));
    },
  };
}

// What stands at the caret: which part of a condition it is, the word begun there, and what comes before.
export function where(text, caret) {
  TOKEN.lastIndex = 0;
  const before = text.slice(0, caret);
  const tokens = [];
  for (let match = TOKEN.exec(before); match; match = TOKEN.exec(before)) tokens.push({ text: match[1], end: TOKEN.lastIndex, start: TOKEN.lastIndex - match[1].length });
  const open = tokens.at(-1)?.end === before.length && !/[\s(),]$/.test(before) ? tokens.pop() : null;
  let part = "key", key = "", operator = "";
  for (const { text: token } of tokens) {
    const upper = token.toUpperCase();
    if (part === "key" && !["NOT", "(", "AND", "OR"].includes(upper)) { key = token; part = "operator"; }
    else if (part === "operator" && (/^[<>!=]/.test(token) || ["LIKE", "ILIKE", "CONTAINS", "=~", "IN", "BETWEEN", "BETWEEN", "NOT"].includes(upper))) { operator = upper; part = upper === "NOT" ? "operator" : "value"; }
    else if (part === "operator" && upper === "IS") { operator = "IS"; part = "value"; }
    else if (part === "value" && (upper === "(" || upper === "," || (operator === "IS" && upper === "NOT"))) continue;
    else if (part === "value") part = "join";
    else if (part === "join" && ["AND", "OR"].includes(upper)) part = operator === "BETWEEN" ? "value" : "key";
    if (part === "value" && operator === "BETWEEN" && upper === "AND") operator = "=";
  }
  const word = open?.text ?? "";
  const tail = text.slice(caret).match(/^[^\s()<>!=,]*/)[0];
  return { part, key, operator, word, start: open ? open.start : caret, end: caret + (open ? tail.length : 0) };
}

async function candidates({ part, key, operator, word }, { experiments, valuesOf }) {
  const begun = word.toLowerCase();
  const options = (texts, about = "") => texts.filter((text) => text.toLowerCase().startsWith(begun) && text.toLowerCase() !== begun).map((text) => ({ label: text, text, about }));
  if (part === "join") return options(["AND", "OR"]);
  if (part === "operator") return options(key.startsWith("metrics.") ? NUMERIC : TEXTUAL);
  if (part === "value") {
    if (operator === "IS") return options(["NULL", "NOT NULL"]);
    if (key.startsWith("metrics.")) return [];
    const values = /(^|\.)status$/.test(key) ? STATUSES : await valuesOf(plain(key));
    const bare = begun.replace(/^['"]/, "");
    return values.filter((each) => String(each).toLowerCase().includes(bare)).map((each) => ({ label: String(each), text: typeof each === "number" ? String(each) : `'${String(each).replaceAll("'", "''")}'` }));
  }
  const dot = word.indexOf(".");
  if (dot < 0) {
    const spaces = options(SPACES);
    const named = begun ? await keys("", begun, experiments) : [];
    return [...spaces, ...ATTRIBUTES.filter((each) => each.startsWith(begun)).map((each) => ({ label: each, text: each })), ...named];
  }
  const space = word.slice(0, dot);
  const rest = word.slice(dot + 1).replace(/[`"]/g, "");
  return keys({ metrics: "metric", params: "param", tags: "tag" }[space] ?? "", rest, experiments);
}

export async function keys(space, prefix, experiments, limit = 40) {
  const found = await call("tracking.keys", { space, prefix, experiments, limit });
  return found.map((each) => {
    const id = `${each.space}s.${each.name}`;
    return { id, label: id, text: quoted(id), about: each.runs === null ? (each.numeric ? "number" : "text") : `${each.runs.toLocaleString("en-US")} runs`, runs: each.runs, numeric: each.numeric };
  });
}

function plain(key) { return key.replace(/[`"]/g, ""); }
