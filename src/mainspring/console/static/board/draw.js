// One chart: axes, bands, lines, marks. The same calls draw on the screen and into a file.
import { colours, DASHES } from "./colours.js";
import { bounds } from "./lines.js";
import { padded, scale, ticks } from "./scales.js";

export const MARGIN = { left: 52, top: 8, right: 12, bottom: 24 };

// The axes of a model for a size; null while there is nothing to draw.
export function axes(model, width, height) {
  const { lines, xKind, yKind, zoom, yZoom, outliers } = model;
  let low = Infinity, high = -Infinity;
  for (const line of lines) for (const value of line.x) if (Number.isFinite(value) && (xKind !== "log" || value > 0)) { if (value < low) low = value; if (value > high) high = value; }
  const whole = [low, high];
  if (zoom) [low, high] = zoom;
  if (!(high >= low) || !Number.isFinite(low)) return null;
  if (low === high) [low, high] = padded(xKind, low, high);
  let [least, most] = yZoom ?? bounds(lines, [low, high], { log: yKind === "log", outliers });
  if (!(most >= least) || !Number.isFinite(least)) [least, most] = [yKind === "log" ? 0.1 : 0, 1];
  else if (!yZoom) [least, most] = padded(yKind, least, most);
  const plot = [MARGIN.left, MARGIN.top, width - MARGIN.right, height - MARGIN.bottom];
  return { plot, whole, x: scale(xKind, low, high, plot[0], plot[2]), y: scale(yKind, least, most, plot[3], plot[1]) };
}

export function drawChart(pen, model, axis) {
  const { ink, line: rule, soft, faint, series, bad } = colours();
  const [left, top, right, bottom] = axis.plot;
  pen.clear();
  const across = ticks(axis.x, Math.max(2, Math.floor((right - left) / 72)));
  for (const [value, text] of ticks(axis.y, Math.max(2, Math.floor((bottom - top) / 36)))) {
    const y = axis.y.at(value);
    if (y < top - 1 || y > bottom + 1) continue;
    pen.line([left, Math.round(y) + 0.5, right, Math.round(y) + 0.5], { colour: rule, width: 1 });
    pen.text(text, left - 6, y, { colour: soft, align: "right" });
  }
  for (const [value, text] of across) {
    const x = axis.x.at(value);
    if (x < left - 1 || x > right + 1) continue;
    pen.line([Math.round(x) + 0.5, bottom, Math.round(x) + 0.5, bottom + 4], { colour: faint, width: 1 });
    pen.text(text, Math.min(Math.max(x, left + 8), right - 8), bottom + 13, { colour: soft, align: "center" });
  }
  pen.line([left, bottom + 0.5, right, bottom + 0.5], { colour: faint, width: 1 });
  pen.within([left, top, right, bottom + 1], () => {
    const many = model.lines.length;
    for (const each of model.lines) if (each.lo) band(pen, axis, each, series[each.slot % 10], many > 6 ? 0.08 : 0.16);
    for (const each of model.lines) if (each.raw) stroke(pen, axis, each.x, each.raw, { colour: series[each.slot % 10], width: 1, alpha: many > 20 ? 0.1 : 0.22 });
    for (const each of model.lines) stroke(pen, axis, each.x, each.y, { colour: series[each.slot % 10], width: each.thick ? 2.2 : many > 30 ? 1.1 : 1.6, dash: DASHES[each.dash % 4] });
    for (const each of model.lines) for (const at of each.holes ?? []) mark(pen, axis.x.at(at), bottom, bad);
  });
  if (model.note) pen.text(model.note, right - 4, top + 6, { colour: soft, align: "right" });
  return ink;
}

// A value that is no number stands at the axis as a cross.
function mark(pen, x, bottom, colour) {
  for (const by of [1, -1]) pen.line([x - 3, bottom - 5 - 3 * by, x + 3, bottom - 5 + 3 * by], { colour, width: 1.4 });
}

export function stroke(pen, axis, xs, ys, style) {
  const log = axis.y.kind === "log";
  const points = new Float64Array(xs.length * 2);
  let alone = null;
  for (let index = 0; index < xs.length; index += 1) {
    points[2 * index] = axis.x.at(xs[index]);
    points[2 * index + 1] = log && !(ys[index] > 0) ? NaN : axis.y.at(ys[index]);
    const lonely = Number.isFinite(ys[index]) && !Number.isFinite(ys[index - 1] ?? NaN) && !Number.isFinite(ys[index + 1] ?? NaN);
    if (lonely) (alone ??= []).push(index);
  }
  pen.line(points, style);
  for (const index of alone ?? []) pen.dot(points[2 * index], points[2 * index + 1], 2.5, style.colour, style.alpha ?? 1);
}

function band(pen, axis, { x, lo, hi }, colour, alpha) {
  const log = axis.y.kind === "log";
  const up = [], down = [];
  for (let index = 0; index < x.length; index += 1) {
    if (!Number.isFinite(lo[index]) || !Number.isFinite(hi[index]) || (log && hi[index] <= 0)) continue;
    const at = axis.x.at(x[index]);
    up.push(at, axis.y.at(hi[index]));
    down.push(axis.y.at(log ? Math.max(lo[index], axis.y.low) : lo[index]), at);
  }
  down.reverse();
  if (up.length > 2) pen.area([...up, ...down], { colour, alpha });
}
