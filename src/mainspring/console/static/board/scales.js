// Axes: from values to pixels and back, ticks at round numbers, and how they read.
export function scale(kind, low, high, from, to) {
  if (kind === "log") {
    const a = Math.log10(low), b = Math.log10(high) - a || 1;
    return { kind, low, high, from, to, at: (value) => from + ((Math.log10(value) - a) / b) * (to - from), of: (pixel) => 10 ** (a + ((pixel - from) / (to - from)) * b) };
  }
  const range = high - low || 1;
  return { kind, low, high, from, to, at: (value) => from + ((value - low) / range) * (to - from), of: (pixel) => low + ((pixel - from) / (to - from)) * range };
}

// Bounds with a little air; a single value gets a range around it.
export function padded(kind, low, high, share = 0.04) {
  if (kind === "log") {
    if (low === high) return [low / 2, high * 2];
    const by = (high / low) ** share;
    return [low / by, high * by];
  }
  if (low === high) { const by = Math.abs(low) * 0.1 || 1; return [low - by, high + by]; }
  const by = (high - low) * share;
  return [low - by, high + by];
}

export function ticks(axis, count) {
  const { kind, low, high } = axis;
  if (kind === "log") return logTicks(low, high, count);
  if (kind === "time") return timeTicks(low, high, count);
  const step = round((high - low) / Math.max(count, 1));
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high * (1 + 1e-12) + step * 1e-9; index += 1) found.push(index * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((value) => [value, short(value, digits)]);
}

function round(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return power * (share < 1.5 ? 1 : share < 3 ? 2 : share < 7 ? 5 : 10);
}

function short(value, digits) {
  const size = Math.abs(value);
  if (size < 1e-12) return "0";
  if (size >= 1e15 || (size < 1e-4 && digits > 5)) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  for (const [limit, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) if (size >= limit) return `${Number((value / (letter === "k" ? 1e3 : limit)).toPrecision(4))}${letter}`;
  return value.toFixed(Math.min(digits, 8));
}

function logTicks(low, high, count) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const every = Math.max(1, Math.ceil((last - first) / count));
  const found = [];
  for (let power = first; power <= last; power += every) for (const each of last - first <= 1 ? [1, 2, 3, 5, 7] : last - first <= 3 ? [1, 3] : [1]) found.push(each * 10 ** power);
  return found.filter((value) => value >= low * 0.999 && value <= high * 1.001).map((value) => [value, label(value)]);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];
function timeTicks(low, high, count) {
  const step = STEPS.find((each) => (high - low) / each <= count) ?? STEPS.at(-1);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
    const text = new Date(at * 1000).toISOString();
    found.push([at, step >= 86400 ? text.slice(5, 10) : step >= 60 ? text.slice(11, 16) : text.slice(11, 19)]);
  }
  return found;
}

export function label(value, kind = "linear") {
  if (kind === "time") return `${new Date(value * 1000).toISOString().replace("T", " ").slice(0, 19)} UTC`;
  if (kind === "span") return value < 120 ? `${Number(value.toPrecision(4))} s` : value < 7200 ? `${Number((value / 60).toPrecision(4))} min` : `${Number((value / 3600).toPrecision(4))} h`;
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
  return Number.isInteger(value) ? value.toLocaleString("en-US") : String(Number(value.toPrecision(5)));
}
