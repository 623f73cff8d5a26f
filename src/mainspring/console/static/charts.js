// One crosshair over all line charts of a page that share an x axis, one tooltip with the values under it.
// The numbers come from the chart itself: the points of each series' last path (pixels) and its data-y (values).
const SVG = "http://www.w3.org/2000/svg";
let tip = null;

export function setUpCharts(root) {
  for (const chart of root.querySelectorAll("svg.chart-line[data-plot]")) {
    if (chart.dataset.ready) continue;
    chart.dataset.ready = "1";
    chart.querySelector(":scope > title")?.remove(); // the name stays in aria-label; a native tooltip would cover ours
    chart.addEventListener("pointermove", (event) => point(chart, event));
    chart.addEventListener("pointerleave", clear);
  }
}

function geometry(chart) {
  const [left, top, right, bottom] = chart.dataset.plot.split(" ").map(Number);
  const [low, high, kind] = chart.dataset.x.split(" ");
  return { left, top, right, bottom, low: Number(low), high: Number(high), kind };
}

function point(chart, event) {
  const plot = geometry(chart);
  const box = chart.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
  if (x < plot.left - 2 || x > plot.right + 2) { clear(); return; }
  const value = toValue(plot, x);
  for (const other of document.querySelectorAll("svg.chart-line[data-plot]")) {
    const theirs = geometry(other);
    const shared = theirs.kind === plot.kind && value >= theirs.low && value <= theirs.high;
    cross(other, theirs, shared ? toPixel(theirs, value) : null);
  }
  const rows = nearest(chart, x).sort((a, b) => b.value - a.value);
  chart.classList.toggle("dimmed", rows.length > 1);
  const under = closest(chart, event, box, rows);
  for (const row of rows) row.group.classList.toggle("lit", row === under);
  show(chart, rows, under, label(plot.kind, value), event);
}

function share(plot, value) {
  if (plot.kind === "log") return (Math.log10(value) - Math.log10(plot.low)) / (Math.log10(plot.high) - Math.log10(plot.low));
  return (value - plot.low) / (plot.high - plot.low);
}

function toPixel(plot, value) { return plot.left + share(plot, value) * (plot.right - plot.left); }

function toValue(plot, x) {
  const part = Math.min(Math.max((x - plot.left) / (plot.right - plot.left), 0), 1);
  return plot.kind === "log" ? plot.low * (plot.high / plot.low) ** part : plot.low + part * (plot.high - plot.low);
}

function cross(chart, plot, x) {
  let line = chart.querySelector(".cross");
  if (x === null) { line?.remove(); return; }
  if (!line) {
    line = document.createElementNS(SVG, "line");
    line.setAttribute("class", "cross");
    chart.append(line);
  }
  for (const [name, value] of [["x1", x], ["x2", x], ["y1", plot.top], ["y2", plot.bottom]]) line.setAttribute(name, value);
}

function nearest(chart, x) {
  return [...chart.querySelectorAll("g.series")].map((group) => {
    const points = pointsOf(group.querySelector("path:last-of-type").getAttribute("d"));
    let best = 0;
    for (let index = 1; index < points.length; index += 1) if (Math.abs(points[index][0] - x) < Math.abs(points[best][0] - x)) best = index;
    return { group, name: group.dataset.name, value: Number(group.dataset.y.split(" ")[best]), y: points[best][1] };
  }).filter((row) => Number.isFinite(row.value));
}

// "M1 2l1.5-1 1.5 0": a start, then steps from where the pen is.
function pointsOf(path) {
  const points = [];
  for (const piece of path.split("M").slice(1)) {
    const [start, steps = ""] = piece.split("l");
    let [x, y] = start.split(" ").map(Number);
    points.push([x, y]);
    const numbers = (steps.match(/-?[\d.]+/g) ?? []).map(Number);
    for (let index = 0; index + 1 < numbers.length; index += 2) {
      x += numbers[index];
      y += numbers[index + 1];
      points.push([x, y]);
    }
  }
  return points;
}

function closest(chart, event, box, rows) {
  const y = ((event.clientY - box.top) / box.height) * chart.viewBox.baseVal.height;
  let best = null;
  for (const row of rows) if (Math.abs(row.y - y) < 24 && (!best || Math.abs(row.y - y) < Math.abs(best.y - y))) best = row;
  return best;
}

function label(kind, value) {
  if (kind === "time") return new Date(value * 1000).toISOString().replace("T", " ").slice(0, 19) + " UTC";
  return Number.isInteger(value) ? String(value) : Number(value.toPrecision(5)).toString();
}

function show(chart, rows, under, heading, event) {
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "status");
    document.body.append(tip);
  }
  const head = document.createElement("div");
  head.append(heading);
  const lines = rows.slice(0, 12).map((row) => {
    const line = document.createElement("div");
    const name = document.createElement("span");
    const value = document.createElement(row === under ? "b" : "span");
    name.textContent = row.name;
    value.textContent = chart.dataset.share ? `${(row.value * 100).toPrecision(4)}%` : String(row.value);
    line.append(name, value);
    return line;
  });
  tip.replaceChildren(head, ...lines);
  tip.hidden = false;
  const beside = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - tip.offsetWidth - 16 : event.clientX + 16;
  const below = Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8);
  // Moved through the object model, which the policy against inline styles allows.
  tip.style.left = `${Math.max(8, beside)}px`;
  tip.style.top = `${Math.max(8, below)}px`;
}

function clear() {
  if (tip) tip.hidden = true;
  for (const line of document.querySelectorAll(".cross")) line.remove();
  for (const chart of document.querySelectorAll(".chart.dimmed")) chart.classList.remove("dimmed");
  for (const group of document.querySelectorAll(".series.lit")) group.classList.remove("lit");
}
