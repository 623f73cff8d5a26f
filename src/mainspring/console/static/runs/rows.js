// The rows of a table, window by window: what is asked for is asked once, what may have changed is asked again.
import { page } from "../api.js";

const WINDOW = 200, LEAP = 1000;

export class Rows {
  constructor(path, changed) {
    this.path = path;
    this.changed = changed;
    this.turn = 0;
    this.clear();
  }

  clear() {
    Object.assign(this, { rows: [], windows: [], next: "", total: 0, head: null, busy: null });
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

  ask(token, limit, changed = false) {
    const query = new URLSearchParams(this.query);
    query.set("limit", limit);
    if (token) query.set("page", token);
    return page(this.path, query, { changed });
  }

  take(found, token) {
    this.windows.push({ start: this.rows.length, size: found.rows.length, token, limit: token ? LEAP : WINDOW });
    this.rows.push(...found.rows);
    this.next = found.next_page;
  }

  // Loads until the row at `index` is here; keyset pages come one after the other.
  need(index) {
    if (index < this.rows.length || !this.next || this.busy) return;
    const turn = this.turn;
    this.busy = (async () => {
      try {
        while (turn === this.turn && this.next && this.rows.length <= index) {
          const token = this.next;
          const found = await this.ask(token, index - this.rows.length > WINDOW ? LEAP : WINDOW);
          if (turn !== this.turn) return;
          this.take(found, token);
          this.windows.at(-1).limit = found.rows.length;
          this.changed();
        }
      } finally {
        if (turn === this.turn) this.busy = null;
      }
    })().catch(() => {});
  }

  async all() {
    while (this.next) { this.need(Infinity); await this.busy; }
    return this.rows;
  }

  // Asks again for the windows that are in sight; answers how many runs came or went since.
  async refresh(from, to) {
    const turn = this.turn;
    let grown = 0;
    for (const each of this.windows) {
      const seen = each.start <= to && each.start + each.size >= from;
      if (!seen && each.token) continue;
      const found = await this.ask(each.token, Math.max(each.limit, 1), true);
      if (turn !== this.turn) return 0;
      if (!found) continue;
      if (!each.token) {
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
