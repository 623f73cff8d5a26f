// A metric with one value a run has no line: its values stand as bars, the greatest first.
import { colours } from "./colours.js";
import { label } from "./scales.js";

const MOST = 40;

export function barRows(model) {
  return model.lines.map((line) => ({ line, value: line.y[line.y.length - 1] })).filter((each) => Number.isFinite(each.value)).sort((a, b) => b.value - a.value).slice(0, MOST);
}

export function drawBars(pen, rows, model) {
  const { ink, soft, series, line } = colours();
  const { width, height } = pen;
  const left = Math.min(160, width * 0.36), right = width - 56;
  rows = rows.slice(0, Math.max(Math.floor((height - 24) / 13), 1));
  const step = Math.min(28, (height - 20) / Math.max(rows.length, 1));
  const low = Math.min(0, ...rows.map((each) => each.value)), high = Math.max(0, ...rows.map((each) => each.value));
  const at = (value) => left + ((value - low) / (high - low || 1)) * (right - left);
  pen.line([at(0), 4, at(0), 8 + rows.length * step], { colour: line, width: 1 });
  rows.forEach(({ line: each, value }, index) => {
    const y = 8 + index * step;
    const from = Math.min(at(0), at(value));
    pen.box(from, y + 1, Math.max(Math.abs(at(value) - at(0)), 1), Math.max(step - 3, 1), series[each.slot % 10], 0.85);
    if (step < 9) return;
    const cut = Math.floor((left - 10) / 6);
    pen.text(each.label.length > cut ? `${each.label.slice(0, cut - 1)}…` : each.label, left - 6, y + step / 2, { colour: soft, align: "right" });
    pen.text(label(value), Math.max(at(value), at(0)) + 5, y + step / 2, { colour: ink });
  });
  if (rows.length < model.lines.length) pen.text(`the greatest ${rows.length} of ${model.lines.length}`, width - 6, height - 6, { colour: soft, align: "right" });
}
