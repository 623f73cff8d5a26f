// What a file shows, by its kind. Pages of others run in a frame without an origin, and reach nothing.
import { h } from "../dom.js";
import { page } from "../api.js";
import { markdown } from "../markdown.js";
import { compact, figure } from "../words.js";

const READ = 512 * 1024, ROWS = 50;

export function kindOf(path, type = "") {
  const end = path.toLowerCase().split(".").pop();
  if (type.startsWith("image/") || ["png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "avif"].includes(end)) return "image";
  if (type.startsWith("audio/") || ["wav", "mp3", "ogg", "flac", "m4a"].includes(end)) return "audio";
  if (type.startsWith("video/") || ["mp4", "webm"].includes(end)) return "video";
  if (type.includes("histogram")) return "histogram";
  if (type === "text/html" || ["html", "htm"].includes(end)) return "html";
  if (["parquet", "csv", "arrow"].includes(end) || type.includes("parquet") || type === "text/csv") return "table";
  if (type === "text/markdown" || end === "md") return "markdown";
  if (type.includes("json") || ["json", "ipynb"].includes(end)) return "json";
  if (type === "application/pdf" || end === "pdf") return "pdf";
  if (type.startsWith("text/") || ["txt", "log", "py", "yaml", "yml", "toml", "ini", "cfg", "sh", "sql", "r", "js", "css", "xml", "tex", "diff", "patch", "jsonl", "env"].includes(end)) return "text";
  return "";
}

export function address(raw, path) { return raw + path.split("/").map(encodeURIComponent).join("/"); }

export async function preview({ raw, path, type, size = 0, run }) {
  const source = address(raw, path);
  switch (kindOf(path, type)) {
    case "image": return h("a", { href: source, class: "picture" }, h("img", { src: source, alt: path, loading: "lazy" }));
    case "audio": return h("audio", { controls: true, src: source, preload: "metadata" });
    case "video": return h("video", { controls: true, src: source, preload: "metadata" });
    case "html": return h("iframe", { src: source, title: path, sandbox: "allow-scripts", loading: "lazy", class: "page" });
    case "table": return table({ run, path });
    case "markdown": return markdown(await text(source));
    case "json": return json(await text(source), size);
    case "text": return h("pre", { class: path.match(/\.(diff|patch)$/) ? "code diff" : "code" }, path.match(/\.(diff|patch)$/) ? diff(await text(source)) : h("code", {}, await text(source)), size > READ ? h("p", { class: "faint" }, "Only the beginning is shown.") : "");
    default: return h("p", { class: "nothing" }, "There is no preview of this kind of file. ", h("a", { href: source, download: path.split("/").pop() }, "Download it"));
  }
}

async function text(source) {
  const answer = await fetch(source, { headers: { Range: `bytes=0-${READ - 1}` } });
  if (!answer.ok) throw new Error(`The file could not be read (${answer.status}).`);
  return (await answer.text()).slice(0, READ);
}

function json(source, size) {
  if (size > READ) return h("pre", { class: "code" }, h("code", {}, source));
  try { return h("div", { class: "json" }, branch(JSON.parse(source), 0)); } catch { return h("pre", { class: "code" }, h("code", {}, source)); }
}

function branch(value, depth) {
  if (value === null || typeof value !== "object") return h("span", { class: `value ${value === null ? "null" : typeof value}` }, JSON.stringify(value));
  const entries = Object.entries(value);
  if (!entries.length) return h("span", {}, Array.isArray(value) ? "[]" : "{}");
  const fold = h("details", { open: depth < 2 && entries.length <= 60 }, h("summary", {}, Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`));
  const fill = () => { if (fold.open && fold.children.length === 1) fold.append(h("ul", {}, entries.slice(0, 500).map(([name, each]) => h("li", {}, h("span", { class: "key" }, name), ": ", branch(each, depth + 1))))); };
  fold.addEventListener("toggle", fill);
  fill();
  return fold;
}

export function diff(source) {
  return source.split("\n").map((line) => h("span", { class: line.startsWith("+") && !line.startsWith("+++") ? "added" : line.startsWith("-") && !line.startsWith("---") ? "removed" : line.startsWith("@@") ? "place" : /^(diff|index|\+\+\+|---)/.test(line) ? "file" : "" }, `${line}\n`));
}

// A table, some rows at a time; read by the server, whatever form it has.
export function table({ run, path }) {
  const root = h("div", { class: "table-preview" });
  const load = async (start) => {
    let found;
    try { found = await page(`/runs/${run}/table`, new URLSearchParams({ path, start, rows: ROWS })); } catch (error) { root.replaceChildren(h("p", { class: "nothing" }, error.message)); return; }
    const last = Math.min(start + ROWS, found.height);
    root.replaceChildren(
      h("div", { class: "scroll" }, grid(found)),
      h("div", { class: "pager" }, h("span", { class: "faint" }, `rows ${found.height ? start + 1 : 0} to ${last} of ${found.height.toLocaleString("en-US")}`),
        h("button", { type: "button", class: "button", disabled: start === 0, onclick: () => load(Math.max(start - ROWS, 0)) }, "Before"),
        h("button", { type: "button", class: "button", disabled: last >= found.height, onclick: () => load(start + ROWS) }, "After")));
  };
  load(0);
  return root;
}

/** The rows and columns that the server gave, numbers to the right. */
function grid(found) {
  const head = found.columns.map((each) => h("th", { class: each.numeric ? "number" : "", title: each.dtype }, each.name));
  const rows = found.rows.map((row) => h("tr", {}, row.map((value, place) => cell(found.columns[place], value))));
  return h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

function cell(column, value) {
  const title = typeof value === "string" ? value.slice(0, 1000) : null;
  const shown = value === null ? h("span", { class: "faint" }, "–") : column.numeric ? figure(value, 6) : compact(value, 80);
  return h("td", { class: column.numeric ? "number" : "", title }, shown);
}
