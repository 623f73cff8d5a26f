// The command palette: pages at once, things from the store as they are found.
export function setUpPalette() {
  const dialog = document.getElementById("palette");
  const input = document.getElementById("palette-input");
  const list = document.getElementById("palette-list");
  const base = document.body.dataset.base;
  const pages = [...document.querySelectorAll(".side nav a")].map((link) => ({ label: link.textContent.trim(), kind: "page", href: link.href }));
  let found = [];
  let at = 0;
  let asked = 0;
  let typing = 0;

  const draw = () => {
    list.replaceChildren(...found.map((item, index) => {
      const entry = document.createElement("li");
      entry.id = `palette-${index}`;
      entry.setAttribute("role", "option");
      entry.setAttribute("aria-selected", String(index === at));
      const kind = document.createElement("span");
      kind.textContent = item.kind;
      entry.append(item.label, kind);
      entry.addEventListener("click", () => go(index));
      return entry;
    }));
    if (found.length) input.setAttribute("aria-activedescendant", `palette-${at}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const go = (index) => {
    if (found[index]) location.href = found[index].href;
  };
  // Pages are filtered at once, so that Enter right after the last letter goes where it says; the store is asked a moment later.
  const filter = () => {
    const words = input.value.trim().toLowerCase();
    found = pages.filter((page) => page.label.toLowerCase().includes(words));
    at = 0;
    draw();
    clearTimeout(typing);
    if (words) typing = setTimeout(() => search(words), 120);
  };
  const search = async (words) => {
    const turn = ++asked;
    const answer = await fetch(`${base}/search.json?q=${encodeURIComponent(words)}`).catch(() => null);
    if (!answer?.ok || turn !== asked || input.value.trim().toLowerCase() !== words) return;
    const page = await answer.json();
    found = [...found, ...page.results.map((each) => ({ label: each.label, kind: each.kind, href: each.href }))];
    draw();
  };
  const open = () => {
    input.value = "";
    if (!dialog.open) dialog.showModal();
    filter();
    input.focus();
  };

  input.addEventListener("input", filter);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), Math.max(found.length - 1, 0));
      draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      go(at);
    }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  return { open };
}
