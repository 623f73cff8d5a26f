// The colours of a terminal as classes; what else a terminal is told is left out.
import { h } from "../dom.js";

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const CODE = /\x1b\[([0-9;]*)m|\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])/g;

export function ansi(text) {
  if (!text.includes("\x1b")) return [text];
  const found = [];
  let last = 0, style = new Set();
  const put = (piece) => { if (piece) found.push(style.size ? h("span", { class: [...style].map((each) => `ansi-${each}`).join(" ") }, piece) : piece); };
  for (const match of text.matchAll(CODE)) {
    put(text.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[1] === undefined) continue;
    const codes = (match[1] || "0").split(";").map(Number);
    for (let index = 0; index < codes.length; index += 1) {
      const code = codes[index];
      style = new Set(style);
      if (code === 0) style.clear();
      else if (code === 1) style.add("bold");
      else if (code === 2) style.add("dim");
      else if (code === 3) style.add("italic");
      else if (code === 4) style.add("under");
      else if (code === 22) { style.delete("bold"); style.delete("dim"); } else if (code === 38 || code === 48) index += codes[index + 1] === 5 ? 2 : 4;
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97) || code === 39) {
        for (const name of NAMES) style.delete(name);
        if (code !== 39) style.add(NAMES[code % 10]);
      }
    }
  }
  put(text.slice(last));
  return found;
}
