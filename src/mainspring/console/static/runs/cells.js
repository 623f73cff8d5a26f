// One cell of the table of runs, by the kind of its column.
import { h } from "../dom.js";
import { absolute, ago, compact, figure, span, TONES } from "../words.js";

// Tags that programs keep for themselves.
const BOOKKEEPING = /^(mlflow\.(datasets|models|log-model\.history)|mainspring\.define\.|import\.)/;

export function cell(column, value, row, base) {
  switch (column.kind) {
    case "status":
      return h("td", { class: "tight" }, h("span", { class: `badge tone-${TONES[value] ?? "idle"}` }, value));
    case "time":
      return h("td", { class: "tight" }, value ? h("time", { dateTime: value, title: absolute(value) }, ago(value)) : none());
    case "span":
      return h("td", { class: "number" }, row.status === "running" ? span((Date.now() - Date.parse(row.started_at)) / 1000) : span(value));
    case "tags":
      return h("td", {}, chips(Object.entries(value ?? {})));
    case "number":
      return h("td", { class: "number" }, ...number(value, base, column));
    default:
      if (value === null || value === undefined || value === "") return h("td", {}, none());
      if (typeof value === "boolean") return h("td", {}, h("span", { class: `bool ${value}` }, String(value)));
      return h("td", { class: typeof value === "number" ? "number" : "", title: compact(value, 2000) }, compact(value));
  }
}

function chips(tags) {
  const chip = ([key, each]) => h("span", { class: "chip", title: `${key}: ${each}` }, each ? `${key}: ${each}` : key);
  const kept = tags.filter(([key]) => BOOKKEEPING.test(key));
  const all = h("button", { type: "button", class: "chip add", title: "Show all tags", hidden: !kept.length, onclick: () => all.replaceWith(...kept.map(chip)) }, `+${kept.length}`);
  return h("div", { class: "chips" }, tags.filter(([key]) => !BOOKKEEPING.test(key)).map(chip), all);
}

function number(value, base, column) {
  if (value === null || value === undefined) return [none()];
  if (typeof value !== "number") return [h("span", { class: "special", title: "not a finite number" }, value)];
  const shown = h("span", { title: String(value) }, figure(value));
  if (typeof base !== "number" || !column.id.startsWith("metrics.")) return [shown];
  const by = value - base;
  return [h("span", { class: `delta ${by > 0 ? "up" : by < 0 ? "down" : ""}` }, by ? `${by > 0 ? "+" : "−"}${figure(Math.abs(by), 2)}` : "="), shown];
}

// A cell of a group: mean and spread of numbers, else the values there are.
export function aggregate(column, value) {
  if (!value || !value.count) return h("td", {}, none());
  if (value.mean === null) {
    const more = value.distinct.length > 3 ? "…" : "";
    return h("td", { title: value.distinct.join(", ") }, value.distinct.slice(0, 3).join(", ") + more);
  }
  const spread = value.deviation ? h("span", { class: "faint" }, ` ± ${figure(value.deviation, 2)}`) : "";
  return h("td", { class: "number", title: `${value.count} values from ${figure(value.minimum)} to ${figure(value.maximum)}` }, figure(value.mean), spread);
}

export function none() { return h("span", { class: "faint" }, "–"); }
