// The server, by the words of its API: operations of rooms, and pages as JSON. When it is gone, that is said once, and
// asked again until it is back.
const base = document.body.dataset.base;
let away = null;

export class Problem extends Error {
  constructor(status, body) {
    const told = body?.error ?? body ?? {};
    super(told.message || (status ? `The server answered ${status}.` : "The server cannot be reached."));
    this.status = status;
    this.code = told.code ?? "";
    this.hint = told.hint ?? "";
    this.known = told.known ?? [];
    this.position = told.position ?? -1;
  }
}

// call("tracking.search", { query, limit })
export async function call(operation, values = {}, { signal } = {}) {
  return (await ask(`${base}/api/v1/${operation.replace(".", "/")}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), signal,
  })).json();
}

// A page of the console as JSON; `tags` keeps entity tags, so that what has not changed is null.
const tags = new Map();
export async function page(path, query, { signal, changed = false } = {}) {
  const address = `${base}${path}.json?${query}`;
  const headers = changed && tags.has(address) ? { "If-None-Match": tags.get(address) } : {};
  const answer = await ask(address, { headers, cache: "no-store", signal });
  if (answer.status === 304) return null;
  tags.set(address, answer.headers.get("ETag") ?? "");
  if (tags.size > 500) tags.delete(tags.keys().next().value);
  return answer.json();
}

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    gone();
    throw new Problem(0);
  }
  if (answer.ok || answer.status === 304) { back(); return answer; }
  throw new Problem(answer.status, await answer.json().catch(() => null));
}

function gone() {
  if (away) return;
  away = document.createElement("div");
  away.className = "away-note";
  away.setAttribute("role", "alert");
  away.textContent = "The server cannot be reached. What you see is what it said last; it is asked again every two seconds.";
  document.body.prepend(away);
  const again = async () => {
    if (!away) return;
    if (await fetch(`${base}/health`, { cache: "no-store" }).then((answer) => answer.ok, () => false)) back();
    else setTimeout(again, 2000);
  };
  setTimeout(again, 2000);
}

function back() {
  if (!away) return;
  away.remove();
  away = null;
  document.dispatchEvent(new CustomEvent("server-back"));
}
