// Small histories in the table, asked for when their rows have stood in sight for a moment.
import { call } from "../api.js";
import { debounce } from "../dom.js";

const POINTS = 32, WIDTH = 64, HEIGHT = 20, KEPT = 4000;
const SVG = "http://www.w3.org/2000/svg";
const kept = new Map();

// Of these keys the first that has a history is drawn.
export const drawSparks = debounce(160, async (table, keys) => { 
  for (const key of keys.slice(0, 6)) {
    if (!await drawOne(table, key)) continue;
    table.widen(`metrics.${key}`);
    return;
  }
});

async function drawOne(table, key) {
  const place = table.columns.findIndex((column) => column.id === `metrics.${key}`);
  if (place < 0) return false;
  const lines = [...table.live.values(), ...table.pins.children].filter((line) => line.dataset.id && line.children[place + 2]?.firstElementChild);
  const lacking = lines.map((line) => line.dataset.id).filter((id) => !kept.has(`${id} ${key}`));
  if (lacking.length) {
    const found = await call("tracking.series", { run_ids: [...new Set(lacking)], keys: [key], buckets: POINTS, columns: ["mean"], digits: 4 }).catch(() => []);
    for (const id of lacking) kept.set(`${id} ${key}`, "");
    for (const each of found) kept.set(`${each.run_id} ${each.key}`, each.count > 1 ? path(each.mean) : "");
    while (kept.size > KEPT) kept.delete(kept.keys().next().value);
  }
  let any = false;
  for (const line of lines) {
    const drawn = kept.get(`${line.dataset.id} ${key}`);
    if (!drawn) continue;
    any = true;
    const cell = line.children[place + 2];
    if (cell.querySelector("svg.spark")) continue;
    cell.classList.add("with-spark");
    cell.prepend(spark(drawn, line.querySelector(".swatch").className.match(/s(\d)/)[1]));
  }
  return any;
}

export function forget(ids) { for (const name of kept.keys()) if (ids.has(name.split(" ")[0])) kept.delete(name); }

function spark(d, slot) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["class", `spark c${slot}`], ["viewBox", `0 0 ${WIDTH} ${HEIGHT}`], ["width", WIDTH], ["height", HEIGHT], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", d);
  svg.append(line);
  return svg;
}

function path(values) {
  const finite = values.filter((each) => each !== null);
  const low = Math.min(...finite), range = Math.max(...finite) - low || 1;
  let pen = "M";
  return values.map((value, index) => {
    if (value === null) { pen = "M"; return ""; }
    const point = `${pen}${((index / Math.max(values.length - 1, 1)) * (WIDTH - 2) + 1).toFixed(1)} ${(HEIGHT - 2 - ((value - low) / range) * (HEIGHT - 4)).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}
