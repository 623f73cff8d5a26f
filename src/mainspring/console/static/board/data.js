// Histories of metrics, many runs and keys in one question, at most two questions at a time. What is asked for again at a
// finer grain replaces what was there; runs that go on are asked for what is new.
import { call } from "../api.js";

const SERIES = 200, ABREAST = 2, DIGITS = 9; // in one question; questions at a time

export class Histories {
  constructor(starts, x = "step") {
    this.starts = starts; // run id -> seconds since 1970 of its beginning
    this.x = x; // what the stretches are of
    this.kept = new Map(); // key -> run -> series
    this.grain = new Map(); // key -> buckets that it was asked for in
    this.queue = [];
    this.busy = 0;
    this.failed = new Set();
  }

  // What charts draw; when each value was logged only where that is the axis.
  get columns() { return ["steps", "counts", "minimum", "maximum", "mean", "last", ...(this.x === "time" ? ["at"] : []), ...(["step", "time"].includes(this.x) ? [] : ["x"])]; }

  of(key) { return this.kept.get(key) ?? new Map(); }

  // Asks for a key of these runs unless it is here as fine as that; calls back when it has come.
  want(key, runs, buckets, done) {
    const lacking = runs.filter((id) => !this.of(key).has(id));
    const finer = (this.grain.get(key) ?? 0) < buckets;
    if (!lacking.length && !finer) return true;
    const ids = finer ? runs : lacking;
    const same = this.queue.find((each) => each.key === key);
    if (same) { same.done.push(done); return false; }
    this.queue.push({ key, ids, buckets, done: [done] });
    queueMicrotask(() => this.next());
    return false;
  }

  // What left the screen before it was asked for need not come.
  drop(key) { this.queue = this.queue.filter((each) => each.key !== key); }

  async next() {
    if (this.busy >= ABREAST || !this.queue.length) return;
    const [{ ids, buckets }] = this.queue;
    const batch = this.queue.filter((each) => each.buckets === buckets && String(each.ids) === String(ids)).slice(0, Math.max(1, Math.floor(SERIES / ids.length)));
    this.queue = this.queue.filter((each) => !batch.includes(each));
    this.busy += 1;
    try {
      const found = await call("tracking.series", { run_ids: ids, keys: batch.map((each) => each.key), buckets, x: this.x, columns: this.columns, digits: DIGITS });
      for (const each of batch) {
        if (!this.kept.has(each.key)) this.kept.set(each.key, new Map());
        const runs = this.kept.get(each.key);
        for (const id of ids) if (!runs.has(id)) runs.set(id, null);
        this.grain.set(each.key, Math.max(buckets, this.grain.get(each.key) ?? 0));
      }
      for (const each of found) this.kept.get(each.key)?.set(each.run_id, this.read(each));
      for (const each of batch) { this.failed.delete(each.key); for (const done of each.done) done(); }
    } catch (error) {
      for (const each of batch) { this.failed.add(each.key); for (const done of each.done) done(error); }
    } finally {
      this.busy -= 1;
      this.next();
    }
    this.next();
  }

  // What these runs have logged since, of these keys; the keys that changed. What came is put behind what is here; a
  // history that has grown far beyond its grain, or whose points came out of order, is asked for anew.
  async follow(keys, runs) {
    const known = keys.filter((key) => this.grain.has(key));
    if (!known.length || !runs.length) return [];
    const cursors = known.flatMap((key) => runs.map((id) => this.of(key).get(id)?.cursor).filter(Boolean));
    const found = await call("tracking.series", { run_ids: runs, keys: known, buckets: 120, x: this.x, since: cursors.join(" "), columns: this.columns, digits: DIGITS });
    const changed = new Set();
    for (const each of found) {
      const kept = this.kept.get(each.key);
      const before = kept?.get(each.run_id);
      const fresh = this.read(each);
      if (!kept || !fresh.y.length) continue;
      const rising = before && fresh.step[0] > before.step[before.step.length - 1];
      if (!before) kept.set(each.run_id, fresh);
      else if (!rising || before.y.length + fresh.y.length > 2 * this.grain.get(each.key)) kept.delete(each.run_id);
      else kept.set(each.run_id, joined(before, fresh));
      changed.add(each.key);
    }
    return [...changed];
  }

  read(series) {
    const size = series.steps.length;
    const y = new Float64Array(size), lo = new Float64Array(size), hi = new Float64Array(size), at = new Float64Array(size);
    const holes = [];
    let spread = false;
    for (let index = 0; index < size; index += 1) {
      const last = series.last[index];
      const value = series.counts[index] > 1 ? series.mean[index] : last;
      y[index] = value ?? NaN;
      lo[index] = series.minimum[index] ?? NaN;
      hi[index] = series.maximum[index] ?? NaN;
      at[index] = (series.at[index] ?? 0) / 1e6;
      if (series.counts[index] > 1) spread = true;
      if (last === null) holes.push(index);
    }
    return { key: series.key, run: series.run_id, count: series.count, step: Float64Array.from(series.steps), at, y, lo, hi, x: series.x?.length ? Float64Array.from(series.x, (each) => each ?? NaN) : null, holes, spread, cursor: series.cursor, start: this.starts.get(series.run_id) ?? at[0] };
  }
}

function joined(before, after) {
  const both = (name) => { const whole = new Float64Array(before.y.length + after.y.length); whole.set(before[name]); whole.set(after[name], before.y.length); return whole; };
  const holes = [...before.holes, ...after.holes.map((index) => index + before.y.length)];
  return { ...after, step: both("step"), at: both("at"), y: both("y"), lo: both("lo"), hi: both("hi"), x: before.x && after.x ? both("x") : null, holes, spread: before.spread || after.spread, start: before.start };
}
