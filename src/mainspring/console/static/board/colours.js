// The colours of the theme as the style sheet has them; drawn things are drawn again when the theme changes.
let found = null;
const listeners = new Set();

export function colours() {
  if (!found) {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    found = { series: Array.from({ length: 10 }, (_, index) => of(`--s${index}`)), heat: [0, 1, 2, 3, 4].map((index) => of(`--h${index}`)), ink: of("--ink"), soft: of("--ink-2"), faint: of("--ink-3"), line: of("--line"), strong: of("--line-2"), surface: of("--surface"), accent: of("--accent"), bad: of("--bad") };
  }
  return found;
}

export function onTheme(listen) { listeners.add(listen); return () => listeners.delete(listen); }

const changed = () => { found = null; for (const listen of listeners) listen(); };
new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);

export const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

// A colour between the two ends of the ramp, for a share from 0 to 1.
export function ramp(share) {
  const stops = colours().heat.slice(1);
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const from = Math.min(Math.floor(at), stops.length - 2);
  const [a, b] = [stops[from], stops[from + 1]].map((each) => [1, 3, 5].map((index) => parseInt(each.slice(index, index + 2), 16)));
  return `rgb(${a.map((each, index) => Math.round(each + (b[index] - each) * (at - from))).join(" ")})`;
}
