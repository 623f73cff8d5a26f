// The rows of a table, window by window: what is asked for is asked once, what may have changed is asked again.
import { page } from "../api.js";

const WINDOW = 200, LEAP = 1000, FAR = 2000;

export class Rows {
  constructor(path, changed) {
    this.path = path;
    this.changed = changed;
    this.turn = 0;
    this.clear();
  }

  clear() {
    Object.assign(this, { rows: [], windows: [], next: "", total: 0, head: null, busy: null, reached: 0, wanted: 0 });
  }

  // Begins again for a new address; what stood there stays in place until the first window has come.
  async begin(query) {
    const turn = ++this.turn;
    this.query = new URLSearchParams(query);
    const head = await this.ask("", WINDOW);
    if (turn === this.turn) this.start(query, head);
  }

  start(query, head) {
    this.query = new URLSearchParams(query);
    this.clear();
    this.take(head, "");
    this.head = head;
    this.total = head.total;
    this.changed();
  }

  ask(token, limit, changed = false, offset = 0) {
    const query = new URLSearchParams(this.query);
    query.set("limit", limit);
    if (token) query.set("page", token);
    if (offset) query.set("offset", offset);
    return page(this.path, query, { changed });
  }

  take(found, token) {
    this.windows.push({ start: this.reached, size: found.rows.length, token, limit: token ? LEAP : WINDOW });
    found.rows.forEach((row, place) => { this.rows[this.reached + place] = row; });
    this.reached += found.rows.length;
    this.next = found.next_page;
  }

  // Loads until the row at `index` is here; keyset pages come one after the other. Thrown far, it jumps there at once:
  // what is shown is a window of its own, and the pages before it are loaded when somebody goes there.
  need(index) {
    if (this.rows[index] || index >= this.total) return;
    this.wanted = index;
    if (this.busy) return;
    const turn = this.turn;
    this.busy = (async () => {
      try {
        while (turn === this.turn) {
          const at = this.wanted;
          if (this.rows[at]) break;
          if (at < this.reached + FAR && at >= this.reached) {
            if (!this.next) break;
            const token = this.next;
            const found = await this.ask(token, at - this.reached > WINDOW ? LEAP : WINDOW);
            if (turn !== this.turn) return;
            this.take(found, token);
            this.windows.at(-1).limit = found.rows.length;
          } else {
            const start = Math.max(0, at - WINDOW / 2);
            const found = await this.ask("", WINDOW, false, start);
            if (turn !== this.turn) return;
            if (!found.rows.length) break;
            found.rows.forEach((row, place) => { this.rows[start + place] ??= row; });
            this.windows.push({ start, size: found.rows.length, token: "", offset: start, limit: found.rows.length });
          }
          this.changed();
          if (at === this.wanted && !this.rows[at]) break;
        }
      } finally {
        if (turn === this.turn) this.busy = null;
      }
    })().catch(() => {});
  }

  async all() {
    while (this.next) {
      const token = this.next;
      this.take(await this.ask(token, LEAP), token);
    }
    return this.rows.filter(Boolean);
  }

  // Asks again for the windows that are in sight; answers how many runs came or went since.
  async refresh(from, to) {
    const turn = this.turn;
    let grown = 0;
    for (const each of this.windows) {
      const seen = each.start <= to && each.start + each.size >= from;
      if (!seen && (each.token || each.offset)) continue;
      const found = await this.ask(each.token, Math.max(each.limit, 1), true, each.offset);
      if (turn !== this.turn) return 0;
      if (!found) continue;
      if (!each.token && !each.offset) {
        grown = found.total - this.total;
        this.head = { ...this.head, pinned: found.pinned };
        if (grown) return grown;
      }
      if (found.rows.length === each.size) this.rows.splice(each.start, each.size, ...found.rows);
      this.changed();
    }
    return grown;
  }
}
