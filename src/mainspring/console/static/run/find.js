// A field above a long list that keeps what holds the words; nested parameters as a tree that folds.
import { debounce, h } from "../dom.js";

const MANY = 8;

export function setUpFind() {
  for (const place of document.querySelectorAll("[data-find]")) {
    const lines = [...place.querySelectorAll("tbody tr")];
    if (lines.length < MANY || place.dataset.ready) continue;
    place.dataset.ready = "1";
    add(place, place.dataset.find, (words) => { for (const line of lines) line.hidden = !words.every((word) => line.cells[0].textContent.toLowerCase().includes(word)); });
  }
  for (const place of document.querySelectorAll("[data-tree]")) tree(place);
}

function add(place, label, apply) {
  const input = h("input", { type: "search", placeholder: label, spellcheck: false, aria: { label } });
  input.addEventListener("input", debounce(60, () => apply(input.value.trim().toLowerCase().split(/\s+/).filter(Boolean))));
  place.before(h("div", { class: "finder" }, input));
}

// "optimizer.lr" and "optimizer/lr" stand in a fold called optimizer.
function tree(place) {
  const lines = [...place.querySelectorAll("dl.facts > div")];
  if (!lines.length || place.dataset.ready) return;
  place.dataset.ready = "1";
  const folds = new Map();
  for (const line of lines) {
    const name = line.querySelector("dt").textContent;
    const split = name.match(/^([^./]+)[./](.+)$/);
    if (!split) continue;
    if (!folds.has(split[1])) folds.set(split[1], []);
    folds.get(split[1]).push([split[2], line]);
  }
  for (const [name, members] of folds) {
    if (members.length < 2) continue;
    const list = h("dl", { class: "facts" });
    members[0][1].before(h("details", { class: "branch", open: lines.length < 40 }, h("summary", {}, name, h("span", { class: "faint" }, ` ${members.length}`)), list));
    for (const [rest, line] of members) { line.dataset.name = `${name}.${rest}`; line.querySelector("dt").textContent = rest; list.append(line); }
  }
  if (lines.length >= MANY) {
    add(place, place.dataset.tree, (words) => {
      for (const line of lines) line.hidden = !words.every((word) => `${line.dataset.name ?? ""} ${line.textContent}`.toLowerCase().includes(word));
      for (const branch of place.querySelectorAll("details.branch")) { branch.hidden = ![...branch.querySelectorAll("dl > div")].some((line) => !line.hidden); if (words.length) branch.open = true; }
    });
  }
}
