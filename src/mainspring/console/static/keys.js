// The keyboard: search, help, going places, rows of tables.
export function setUpKeys({ palette, live, theme }) {
  const help = document.getElementById("help");
  let waiting = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette.open();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (waiting && Date.now() - waiting < 1500) {
      waiting = 0;
      const link = document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { link.click(); return; }
    }
    const act = {
      "/": () => document.getElementById("find").focus(),
      "?": () => help.showModal(),
      g: () => { waiting = Date.now(); },
      j: () => move(1),
      k: () => move(-1),
      p: () => live.toggle(),
      t: () => theme.next(),
      f: () => document.querySelector(".chart-card:hover [title^='Full screen']")?.click(),
      Enter: () => document.querySelector("tr.marked a")?.click(),
    }[event.key];
    if (act && !(event.key === "Enter" && event.target.closest("a, button"))) {
      if (event.key !== "Enter") event.preventDefault();
      act();
    }
  });
}

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function move(by) {
  // A table of any length moves by itself: most of its rows are not in the document.
  if (!document.dispatchEvent(new CustomEvent("move-row", { detail: by, cancelable: true }))) return;
  const rows = [...document.querySelectorAll("main tbody tr")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("marked"));
  const next = Math.min(Math.max(at + by, 0), rows.length - 1);
  if (at >= 0) rows[at].classList.remove("marked");
  rows[next].classList.add("marked");
  rows[next].scrollIntoView({ block: "nearest" });
}
