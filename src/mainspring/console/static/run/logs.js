// What a run printed: found by words and level, wrapped or not, followed while it goes on. Lines are drawn as they come
// into sight, so that a hundred thousand of them are no burden.
import { debounce, h } from "../dom.js";
import { iconed } from "../runs/columns.js";
import { ansi } from "./ansi.js";

const LINE = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) (stdout|stderr) (.*)$/;
const LEVELS = [["error", /\b(error|critical|fatal|exception|traceback)\b/i], ["warning", /\bwarn(ing)?\b/i], ["debug", /\bdebug\b/i]];
const CHUNK = 400, EVERY = 3000;

export async function show(place) {
  const files = JSON.parse(place.dataset.files);
  let lines = [], shown = [], drawn = 0, follow = !!place.dataset.running, turn = 0;
  const sizes = new Map();
  const words = h("input", { type: "search", placeholder: "Find in the log", spellcheck: false, aria: { label: "Find in the log" } });
  const level = h("select", { aria: { label: "Level" } }, ["any level", "error", "warning", "debug", "stdout", "stderr"].map((each) => h("option", {}, each)));
  const toggle = (label, on, act) => { const button = h("button", { type: "button", class: "button", aria: { pressed: on }, onclick: () => { const now = button.getAttribute("aria-pressed") !== "true"; button.setAttribute("aria-pressed", String(now)); act(now); } }, label); return button; };
  const box = h("div", { class: "log", tabIndex: 0, role: "log", aria: { label: "Output of the run", live: "off" } });
  const count = h("span", { class: "faint", role: "status" });
  const wrap = toggle("Wrap", true, (on) => box.classList.toggle("nowrap", !on));
  const times = toggle("Times", false, (on) => box.classList.toggle("with-times", on));
  const following = toggle("Follow", follow, (on) => { follow = on; if (on) end(); });
  place.replaceChildren(h("div", { class: "tools" }, words, level, wrap, times, following, h("a", { class: "button", href: `${place.dataset.raw}${files[0] ?? ""}`, download: "output.log" }, iconed("load", "Download")), count), box);

  const end = () => { while (drawn < shown.length) more(); box.scrollTop = box.scrollHeight; };
  const more = () => {
    const needle = words.value.trim().toLowerCase();
    box.append(...shown.slice(drawn, drawn + CHUNK).map((line) => h("div", { class: `line ${line.stream} ${line.level}` }, h("time", {}, line.at.slice(11, 23)), h("span", {}, needle ? lit(line.plain, needle) : ansi(line.text)))));
    drawn = Math.min(drawn + CHUNK, shown.length);
  };
  const draw = () => {
    const needle = words.value.trim().toLowerCase(), wanted = level.value;
    shown = lines.filter((line) => (!needle || line.plain.toLowerCase().includes(needle)) && (level.selectedIndex === 0 || line.level === wanted || line.stream === wanted));
    drawn = 0;
    box.replaceChildren();
    more();
    count.textContent = shown.length === lines.length ? `${lines.length.toLocaleString("en-US")} lines` : `${shown.length.toLocaleString("en-US")} of ${lines.length.toLocaleString("en-US")} lines`;
    if (!lines.length) box.append(h("p", { class: "nothing" }, "Nothing was printed yet."));
    if (follow) end();
  };
  box.addEventListener("scroll", () => { if (box.scrollTop + box.clientHeight > box.scrollHeight - 400 && drawn < shown.length) more(); });
  words.addEventListener("input", debounce(100, draw));
  level.addEventListener("change", draw);

  const load = async () => {
    const mine = ++turn;
    const texts = await Promise.all(files.map(async (path) => (await fetch(`${place.dataset.raw}${path.split("/").map(encodeURIComponent).join("/")}`, { cache: "no-store" })).text().catch(() => "")));
    if (mine !== turn) return;
    const size = texts.reduce((sum, text) => sum + text.length, 0);
    if (sizes.get("all") === size) return;
    sizes.set("all", size);
    lines = texts.flatMap(read);
    if (files.length > 1) lines.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    draw();
  };
  await load();
  if (place.dataset.running) setInterval(() => { if (!document.hidden) load().catch(() => {}); }, EVERY);
}

function read(text) {
  const raw = text.split("\n");
  if (raw.at(-1) === "") raw.pop();
  return raw.map((line) => {
    const match = line.match(LINE);
    const said = match ? match[3] : line;
    return { at: match?.[1] ?? "", stream: match?.[2] ?? "stdout", text: said, plain: said.replace(/\x1b\[[0-9;]*m/g, ""), level: LEVELS.find(([, pattern]) => pattern.test(said))?.[0] ?? "" };
  });
}

function lit(text, needle) {
  const found = [];
  const lower = text.toLowerCase();
  let last = 0;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, last)) {
    found.push(text.slice(last, at), h("mark", {}, text.slice(at, at + needle.length)));
    last = at + needle.length;
  }
  return [...found, text.slice(last)];
}
