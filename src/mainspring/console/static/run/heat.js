// Histograms over steps: each column is a step, each cell how many values lie there.
import { colours, onTheme, ramp } from "../board/colours.js";
import { canvas } from "../board/pens.js";
import { label, padded, scale, ticks } from "../board/scales.js";
import { h } from "../dom.js";

const ROWS = 64, HEIGHT = 240, LEFT = 52, BOTTOM = 22;

export function heatMap(members) {
  const steps = members.filter((each) => each.about?.counts && each.about?.edges).sort((a, b) => a.step - b.step);
  const surface = h("canvas", { role: "img", aria: { label: `Histograms over ${steps.length} steps` } });
  const told = h("p", { class: "faint", role: "status" }, "Point at a cell for its values.");
  const root = h("div", { class: "heat" }, surface, told);
  if (!steps.length) return h("p", { class: "nothing" }, "No histogram has counts.");
  let [low, high] = [Math.min(...steps.map((each) => each.about.edges[0])), Math.max(...steps.map((each) => each.about.edges.at(-1)))];
  if (low === high) [low, high] = padded("linear", low, high);
  const cells = steps.map((each) => spread(each.about, low, high));
  const most = Math.max(...cells.flat()) || 1;
  const draw = () => {
    const width = root.clientWidth;
    if (!width) return;
    surface.style.height = `${HEIGHT}px`;
    const pen = canvas(surface, width, HEIGHT);
    const { soft } = colours();
    const y = scale("linear", low, high, HEIGHT - BOTTOM, 6), across = (width - LEFT - 8) / cells.length, up = (HEIGHT - BOTTOM - 6) / ROWS;
    cells.forEach((column, place) => column.forEach((count, row) => {
      if (count > 0) pen.box(LEFT + place * across, HEIGHT - BOTTOM - (row + 1) * up, Math.ceil(across), Math.ceil(up), ramp(Math.sqrt(count / most)));
    }));
    for (const [value, text] of ticks(y, 5)) pen.text(text, LEFT - 6, y.at(value), { colour: soft, align: "right" });
    const every = Math.max(1, Math.ceil(steps.length / Math.max(Math.floor(width / 90), 1)));
    steps.forEach((each, place) => { if (place % every === 0) pen.text(label(each.step), LEFT + (place + 0.5) * across, HEIGHT - 10, { colour: soft, align: "center" }); });
  };
  surface.addEventListener("pointermove", (event) => {
    const box = surface.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left - LEFT) / (box.width - LEFT - 8)) * cells.length);
    const row = Math.floor(((HEIGHT - BOTTOM - (event.clientY - box.top)) / (HEIGHT - BOTTOM - 6)) * ROWS);
    if (!cells[place] || row < 0 || row >= ROWS) return;
    const at = (index) => label(low + ((high - low) * index) / ROWS);
    told.textContent = `step ${label(steps[place].step)}: about ${Math.round(cells[place][row]).toLocaleString("en-US")} values from ${at(row)} to ${at(row + 1)}`;
  });
  new ResizeObserver(draw).observe(root);
  onTheme(draw);
  return root;
}

// Counts between edges of their own, shared out over rows that are the same for all steps.
function spread({ counts, edges }, low, high) {
  const rows = new Array(ROWS).fill(0);
  counts.forEach((count, index) => {
    const from = ((edges[index] - low) / (high - low)) * ROWS, to = ((edges[index + 1] - low) / (high - low)) * ROWS;
    for (let row = Math.max(Math.floor(from), 0); row < Math.min(Math.ceil(Math.max(to, from + 1e-9)), ROWS); row += 1) {
      const share = to > from ? (Math.min(to, row + 1) - Math.max(from, row)) / (to - from) : 1;
      rows[row] += count * Math.max(share, 0);
    }
  });
  return rows;
}
