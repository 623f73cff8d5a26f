// What a page shows is its address: every choice is a query parameter, so that a link is the view.
const listeners = new Set();

export const state = {
  get(name, otherwise = "") { return new URLSearchParams(location.search).get(name) ?? otherwise; },
  all(name) { return new URLSearchParams(location.search).getAll(name); },
  query() { return new URLSearchParams(location.search); },
  // Values may be texts, lists, or empty to take a parameter away. `keep` replaces the entry of the history.
  set(changes, { keep = false } = {}) {
    const query = this.query();
    for (const [name, value] of Object.entries(changes)) {
      query.delete(name);
      for (const each of [value].flat()) if (each !== "" && each !== null && each !== undefined && each !== false) query.append(name, each);
    }
    const text = String(query);
    if (`?${text}` === location.search || (!text && !location.search)) return;
    history[keep ? "replaceState" : "pushState"](null, "", text ? `?${text}` : location.pathname);
    for (const listen of listeners) listen(new Set(Object.keys(changes)));
  },
  toggle(name, value) {
    const now = this.all(name);
    this.set({ [name]: now.includes(value) ? now.filter((each) => each !== value) : [...now, value] });
  },
  listen(listener) { listeners.add(listener); },
};

addEventListener("popstate", () => { for (const listen of listeners) listen(null); });
