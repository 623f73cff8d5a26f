// A live page is asked for again every few seconds; only when its content changed is the main part replaced.
const EVERY = 4000;

export function setUpLive(refresh) {
  const button = document.querySelector("button.live");
  if (!button || !document.body.dataset.live) return { toggle() {} };
  // Pages whose scripts follow by themselves look at this button, and are not replaced.
  const own = document.body.dataset.live === "own";
  let paused = false;
  let tag = "";
  let timer = 0;
  let busy = false;

  const show = (away = false) => {
    button.setAttribute("aria-pressed", String(paused));
    button.classList.toggle("away", away);
    button.querySelector(".label").textContent = paused ? "Paused" : away ? "Server away" : "Live";
  };
  const ask = async () => {
    if (own || paused || busy || document.hidden || document.querySelector("dialog[open]") || selecting()) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status === 200) {
        const fresh = answer.headers.get("ETag") || "";
        if (!tag || fresh !== tag) swap(await answer.text(), refresh);
        tag = fresh;
      }
      show(answer.status >= 400);
    } catch {
      show(true);
    } finally {
      busy = false;
    }
  };
  const toggle = () => {
    paused = !paused;
    show();
    clearInterval(timer);
    if (!paused) { ask(); timer = setInterval(ask, EVERY); }
  };
  button.hidden = false;
  button.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", ask);
  timer = setInterval(ask, EVERY);
  return { toggle };
}

// A reader who is selecting text or typing into the page must not lose it.
function selecting() {
  const main = document.getElementById("main");
  return !getSelection().isCollapsed || main.querySelector("form[data-dirty]") || (main.contains(document.activeElement) && /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName));
}

function swap(html, refresh) {
  const next = new DOMParser().parseFromString(html, "text/html").getElementById("main");
  const main = document.getElementById("main");
  if (!next || next.innerHTML === main.innerHTML) return;
  const open = [...main.querySelectorAll("details[open]")].map((each) => each.id).filter(Boolean);
  const logs = [...main.querySelectorAll("pre.log")].map((each) => each.scrollTop);
  const marked = [...main.querySelectorAll("tbody tr")].findIndex((row) => row.classList.contains("marked"));
  main.replaceChildren(...next.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  [...main.querySelectorAll("pre.log")].forEach((each, index) => { each.scrollTop = logs[index] ?? 0; });
  if (marked >= 0) main.querySelectorAll("tbody tr")[marked]?.classList.add("marked");
  refresh();
}
