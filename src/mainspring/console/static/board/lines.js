// From histories to lines: which x, smoothed or not, taken together in groups, and between which bounds.
export function abscissa(series, mode) {
  if (mode === "time") return series.at;
  if (mode === "relative") { const { start } = series; return series.at.map((at) => at - start); }
  return mode === "step" || !mode ? series.step : series.x;
}

// An exponential moving average without the bias of its beginning. The weight counts per point of the history, and per
// thousandth of it where there are more, so that a line looks the same in however many buckets it comes.
export function smoothed(x, y, weight, count) {
  if (!weight || y.length < 2) return y;
  const range = x[x.length - 1] - x[0] || 1;
  const pace = Math.min(Math.max(count - 1, 1), 1000) / range;
  const found = new Float64Array(y.length);
  let sum = 0, bias = 0, before = x[0] - 1 / pace;
  for (let index = 0; index < y.length; index += 1) {
    const value = y[index];
    if (!Number.isFinite(value)) { found[index] = NaN; continue; }
    const kept = weight ** Math.max(Math.abs(x[index] - before) * pace, 1e-6);
    sum = sum * kept + value * (1 - kept);
    bias = bias * kept + (1 - kept);
    found[index] = sum / bias;
    before = x[index];
  }
  return found;
}

// One line with its band from many: each is read at the same places, between its points.
export function together(lines, band, places = 160) {
  const low = Math.min(...lines.map((line) => first(line.x))), high = Math.max(...lines.map((line) => last(line.x)));
  if (!(high >= low)) return null;
  const size = high === low ? 1 : places;
  const found = { x: new Float64Array(size), y: new Float64Array(size), lo: new Float64Array(size), hi: new Float64Array(size), holes: [] };
  const cursors = lines.map(() => 0);
  for (let index = 0; index < size; index += 1) {
    const at = low + ((high - low) * index) / Math.max(size - 1, 1);
    let sum = 0, squares = 0, count = 0, least = Infinity, most = -Infinity;
    lines.forEach((line, each) => {
      const { x, y } = line;
      if (at < first(x) || at > last(x)) return;
      while (cursors[each] + 1 < x.length - 1 && x[cursors[each] + 1] < at) cursors[each] += 1;
      const place = cursors[each], next = Math.min(place + 1, x.length - 1);
      const share = x[next] > x[place] ? Math.min(Math.max((at - x[place]) / (x[next] - x[place]), 0), 1) : 0;
      const value = share === 0 ? y[place] : y[place] + (y[next] - y[place]) * share;
      if (!Number.isFinite(value)) return;
      sum += value; squares += value * value; count += 1;
      least = Math.min(least, value); most = Math.max(most, value);
    });
    const mean = count ? sum / count : NaN;
    const deviation = count > 1 ? Math.sqrt(Math.max(squares - count * mean * mean, 0) / (count - 1)) : 0;
    found.x[index] = at;
    found.y[index] = mean;
    found.lo[index] = band === "range" ? least : mean - deviation;
    found.hi[index] = band === "range" ? most : mean + deviation;
  }
  return found;
}

function first(values) { return values[0] ?? Infinity; }
function last(values) { return values[values.length - 1] ?? -Infinity; }

// The bounds of what is drawn; outliers are what lies far outside of the middle nine tenths.
export function bounds(lines, [low, high], { log, outliers }) {
  const seen = [];
  let least = Infinity, most = -Infinity;
  for (const line of lines) {
    const shown = outliers ? [line.y] : [line.y, line.raw, line.lo, line.hi].filter(Boolean);
    for (let index = 0; index < line.x.length; index += 1) {
      if (line.x[index] < low || line.x[index] > high) continue;
      for (const values of shown) {
        const value = values[index];
        if (!Number.isFinite(value) || (log && value <= 0)) continue;
        if (outliers) seen.push(value);
        else { if (value < least) least = value; if (value > most) most = value; }
      }
    }
  }
  if (!outliers || !seen.length) return [least, most];
  seen.sort((a, b) => a - b);
  const at = (share) => seen[Math.min(Math.floor(share * seen.length), seen.length - 1)];
  const a = at(0.05), b = at(0.95), reach = (b - a) * 0.5;
  return [Math.max(seen[0], a - reach), Math.min(seen.at(-1), b + reach)];
}

// The index of the point nearest to x; x rises, except where another metric is the x axis.
export function nearest(xs, value, rising) {
  if (!rising) {
    let best = 0;
    for (let index = 1; index < xs.length; index += 1) if (!(Math.abs(xs[best] - value) <= Math.abs(xs[index] - value))) best = index;
    return best;
  }
  let low = 0, high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < value) low = middle + 1; else high = middle;
  }
  return low > 0 && value - xs[low - 1] < xs[low] - value ? low - 1 : low;
}
