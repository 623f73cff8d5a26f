// Logs: colours of a terminal, words that are found, and the end in view while it grows.
import { debounce, h } from "../dom.js";
import { ansi } from "../run/ansi.js";

const kept = { words: "", follow: true };

export function setUpLogs() {
  for (const pre of document.querySelectorAll("pre[data-log]")) {
    if (pre.dataset.ready) continue;
    pre.dataset.ready = "yes";
    const lines = pre.textContent.split("\n");
    const input = h("input", { type: "search", placeholder: "Find in the log", value: kept.words, spellcheck: false, aria: { label: "Find in the log" } });
    const count = h("span", { class: "faint", role: "status" });
    const follow = h("button", { class: "button", type: "button", aria: { pressed: kept.follow }, onclick: () => { kept.follow = !kept.follow; follow.setAttribute("aria-pressed", String(kept.follow)); end(); } }, "Follow");
    const end = () => { if (kept.follow) pre.scrollTop = pre.scrollHeight; };
    const draw = () => {
      kept.words = input.value;
      const words = input.value.trim().toLowerCase();
      const shown = words ? lines.filter((line) => line.toLowerCase().includes(words)) : lines;
      pre.replaceChildren(...shown.flatMap((line, index) => [...(words ? marked(plain(line), words) : ansi(line)), index < shown.length - 1 ? "\n" : ""]));
      count.textContent = words ? `${shown.length} of ${lines.length} lines` : "";
      end();
    };
    input.addEventListener("input", debounce(80, draw));
    pre.before(h("div", { class: "log-tools" }, input, follow, count));
    draw();
  }
}

const plain = (line) => line.replace(/\x1b\[[0-9;]*m/g, "");

function marked(line, words) {
  const found = [];
  let last = 0;
  const lower = line.toLowerCase();
  for (let at = lower.indexOf(words); at >= 0; at = lower.indexOf(words, last)) {
    found.push(line.slice(last, at), h("mark", {}, line.slice(at, at + words.length)));
    last = at + words.length;
  }
  return [...found, line.slice(last)];
}
