// Markdown as elements: headings, lists, tables, code, quotes, emphasis, links. Made of text nodes alone, so that what
// somebody wrote is never markup; links lead to http, https, mail and pages of ours.
import { h } from "./dom.js";

export function markdown(text) {
  const root = h("div", { class: "prose" });
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const fence = line.match(/^\s*(```|~~~)/);
    if (!line.trim()) { at += 1; } else if (fence) {
      const code = [];
      for (at += 1; at < lines.length && !lines[at].trim().startsWith(fence[1]); at += 1) code.push(lines[at]);
      at += 1;
      root.append(h("pre", { class: "code" }, h("code", {}, code.join("\n"))));
    } else if (/^#{1,6}\s/.test(line)) {
      const level = Math.min(line.match(/^#+/)[0].length + 2, 6);
      root.append(h(`h${level}`, {}, inline(line.replace(/^#+\s+/, ""))));
      at += 1;
    } else if (/^\s*([-*+]|\d+[.)])\s/.test(line)) {
      const ordered = /^\s*\d/.test(line);
      const list = h(ordered ? "ol" : "ul");
      for (; at < lines.length && /^\s*([-*+]|\d+[.)])\s/.test(lines[at]); at += 1) {
        const item = lines[at].replace(/^\s*([-*+]|\d+[.)])\s+/, "");
        const box = item.match(/^\[([ xX])\]\s+(.*)/);
        list.append(h("li", {}, box ? [h("input", { type: "checkbox", checked: box[1] !== " ", disabled: true, aria: { label: box[2] } }), " ", inline(box[2])] : inline(item)));
      }
      root.append(list);
    } else if (/^\s*>/.test(line)) {
      const quote = [];
      for (; at < lines.length && /^\s*>/.test(lines[at]); at += 1) quote.push(lines[at].replace(/^\s*>\s?/, ""));
      const block = h("blockquote");
      block.append(...markdown(quote.join("\n")).childNodes);
      root.append(block);
    } else if (/^\s*\|.*\|\s*$/.test(line) && /^\s*\|[\s:|-]+\|\s*$/.test(lines[at + 1] ?? "")) {
      const cells = (row) => row.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
      const head = cells(line);
      const rows = [];
      for (at += 2; at < lines.length && /^\s*\|/.test(lines[at]); at += 1) rows.push(cells(lines[at]));
      root.append(h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head.map((cell) => h("th", {}, inline(cell))))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, inline(cell)))))))));
    } else if (/^\s*(-{3,}|\*{3,})\s*$/.test(line)) { root.append(h("hr")); at += 1; } else {
      const words = [];
      for (; at < lines.length && lines[at].trim() && !/^(#{1,6}\s|\s*(```|~~~|>|[-*+]\s|\d+[.)]\s))/.test(lines[at]); at += 1) words.push(lines[at]);
      if (!words.length) { words.push(lines[at]); at += 1; }
      root.append(h("p", {}, inline(words.join(" "))));
    }
  }
  return root;
}

const INLINE = /(`[^`]+`)|(\*\*[^*]+\*\*|__[^_]+__)|(\*[^*\s][^*]*\*|_[^_\s][^_]*_)|\[([^\]]+)\]\(([^()\s]+)\)|(https?:\/\/[^\s<>()]+)/g;
function inline(text) {
  const found = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > last) found.push(text.slice(last, match.index));
    const [whole, code, strong, soft, label, address, bare] = match;
    if (code) found.push(h("code", {}, code.slice(1, -1)));
    else if (strong) found.push(h("strong", {}, ...inline(strong.slice(2, -2))));
    else if (soft) found.push(h("em", {}, soft.slice(1, -1)));
    else if (/^(https?:|mailto:|\/(?!\/)|#)/i.test(address ?? bare)) found.push(h("a", { href: address ?? bare, rel: "noreferrer noopener" }, label ?? bare));
    else found.push(whole);
    last = match.index + whole.length;
  }
  if (last < text.length) found.push(text.slice(last));
  return found;
}
