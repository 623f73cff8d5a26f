// Runs as points over columns: what parallel coordinates and the scatter plot both read.
import { page } from "../api.js";
import { state } from "../state.js";
import { keys } from "../runs/filter.js";

const MOST = 1000;

// Rows with exactly these columns, and for each column whether it is numeric, its bounds or its words.
export async function points(columns, { ids = null } = {}) {
  const query = new URLSearchParams();
  for (const name of ["q", "experiment", "status", "view", "sort"]) for (const each of state.all(name)) query.append(name, each);
  if (ids) { query.set("q", `run_id IN (${ids.map((id) => `'${id}'`).join(", ")})`); query.set("view", "all"); for (const name of ["experiment", "status"]) query.delete(name); }
  for (const each of columns) query.append("col", each);
  query.set("limit", MOST);
  const found = await page("/runs", query);
  const hidden = new Set(state.all("hide"));
  const places = columns.map((each) => found.columns.findIndex((column, index) => column.id === each && index > 2));
  const rows = found.rows.filter((row) => !hidden.has(row.id)).map((row) => ({ ...row, values: places.map((place) => row.cells[place]) }));
  return { rows, total: found.total, axes: columns.map((id, place) => axis(id, rows.map((row) => row.values[place]))) };
}

export function axis(id, values) {
  const there = values.filter((each) => each !== null && each !== undefined && each !== "");
  const numbers = there.filter((each) => typeof each === "number" && Number.isFinite(each));
  const numeric = numbers.length > 0 && numbers.length >= there.length * 0.6;
  const words = numeric ? [] : [...new Set(there.map(String))].sort().slice(0, 60);
  return { id, label: id.replace(/^(metrics|params|tags)\./, ""), numeric, words, low: Math.min(...numbers), high: Math.max(...numbers), positive: numbers.every((each) => each > 0) };
}

// Where a value stands, from 0 to 1; null where there is none.
export function share(axis, value, log = false) {
  if (value === null || value === undefined || value === "") return null;
  if (!axis.numeric) { const at = axis.words.indexOf(String(value)); return at < 0 ? null : axis.words.length === 1 ? 0.5 : at / (axis.words.length - 1); }
  if (typeof value !== "number" || !Number.isFinite(value) || (log && value <= 0)) return null;
  if (axis.high === axis.low) return 0.5;
  return log ? (Math.log(value) - Math.log(axis.low)) / (Math.log(axis.high) - Math.log(axis.low)) : (value - axis.low) / (axis.high - axis.low);
}

// Columns to choose from: what the runs have, those first that vary.
export async function choices(experiments, shown) {
  const [metrics, params] = await Promise.all(["metric", "param"].map((space) => keys(space, "", experiments, 300).catch(() => [])));
  const all = [...metrics, ...params].map((each) => each.id);
  return [...new Set([...shown, ...all])];
}
