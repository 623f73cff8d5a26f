// A chart as a file: what is seen, as SVG or PNG, or its numbers as CSV.
import { download } from "../dom.js";
import { barRows, drawBars } from "./bars.js";
import { colours } from "./colours.js";
import { axes, drawChart } from "./draw.js";
import { CanvasPen, SvgPen } from "./pens.js";

const WIDTH = 960, HEIGHT = 540, HEAD = 36, LEGEND = 18;

export async function save(chart, kind) {
  const name = chart.key.replace(/[^\w.-]+/g, "_");
  if (kind === "CSV") { download(`${name}.csv`, csv(chart), "text/csv"); return; }
  if (kind === "SVG") { download(`${name}.svg`, String(paint(chart, (width, height) => new SvgPen(width, height, colours().surface))), "image/svg+xml"); return; }
  let canvas;
  paint(chart, (width, height) => {
    canvas = Object.assign(document.createElement("canvas"), { width: width * 2, height: height * 2 });
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    const pen = new CanvasPen(context, width, height);
    pen.box(0, 0, width, height, colours().surface);
    pen.clear = () => {};
    return pen;
  });
  canvas.toBlob((blob) => download(`${name}.png`, blob, "image/png"));
}

function paint(chart, make) {
  const { model } = chart;
  const named = model.lines.slice(0, 20);
  const height = HEIGHT + HEAD + Math.ceil(named.length / 2) * LEGEND + 12;
  const pen = make(WIDTH, height);
  const { ink, soft, series } = colours();
  if (chart.bars) drawBars(Object.assign(Object.create(pen), { width: WIDTH, height: HEIGHT }), barRows(model), model);
  else drawChart(pen, model, axes({ ...model, yKind: chart.yKind, yZoom: chart.yZoom }, WIDTH, HEIGHT));
  pen.text(chart.key, 16, HEIGHT + 18, { colour: ink, size: 15, weight: 600 });
  pen.text(model.xLabel, WIDTH - 16, HEIGHT + 18, { colour: soft, align: "right" });
  named.forEach((line, index) => {
    const x = 16 + (index % 2) * (WIDTH / 2), y = HEIGHT + HEAD + 8 + Math.floor(index / 2) * LEGEND;
    pen.box(x, y - 5, 10, 10, series[line.slot % 10]);
    pen.text(line.label, x + 18, y, { colour: ink, size: 12 });
  });
  return pen;
}

export function csv(chart) {
  const { model } = chart;
  const rows = [["run", "id", model.xLabel || "x", chart.key, "minimum", "maximum", "smoothed"]];
  for (const line of model.lines) {
    const values = line.raw ?? line.y;
    for (let index = 0; index < line.x.length; index += 1) rows.push([line.label, line.id, line.x[index], values[index], line.bounds?.lo[index] ?? "", line.bounds?.hi[index] ?? "", line.raw ? line.y[index] : ""]);
  }
  return rows.map((row) => row.map((each) => (/[",\n]/.test(String(each)) ? `"${String(each).replaceAll('"', '""')}"` : String(each))).join(",")).join("\r\n");
}
