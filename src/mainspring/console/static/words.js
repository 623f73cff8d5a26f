// How values read; the same rules as words.py.
import { relative } from "./times.js";

export function figure(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  if (size >= 10 ** digits && size < 1e15) return Math.round(value).toLocaleString("en-US");
  return size !== 0 && (size < 1e-4 || size >= 1e15) ? value.toExponential(Math.max(digits - 2, 0)) : String(Number(value.toPrecision(digits)));
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function ago(iso) { return relative(Date.parse(iso), Date.now()); }

export function absolute(iso) { return `${new Date(iso).toISOString().replace("T", " ").slice(0, 19)} UTC`; }

export function compact(value, limit = 80) {
  const text = typeof value === "number" ? figure(value, 6) : typeof value === "string" ? value : JSON.stringify(value);
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

export function counted(number, name, plural = `${name}s`) { return `${number.toLocaleString("en-US")} ${number === 1 ? name : plural}`; }

const PLAIN = /^[\w/.:-]*[\w/:]$/;
export function quoted(column) {
  const dot = column.indexOf(".");
  if (dot < 0 || !["metrics", "params", "tags"].includes(column.slice(0, dot))) return column;
  const key = column.slice(dot + 1);
  return PLAIN.test(key) ? column : `${column.slice(0, dot)}.\`${key.replaceAll("`", "``")}\``;
}

export const TONES = { finished: "good", running: "busy", failed: "bad", crashed: "bad", cancelled: "idle" };
