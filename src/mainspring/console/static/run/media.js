// Media that were logged as series: one card for each, with the step to choose. Pictures stand side by side; histograms
// are drawn over the steps.
import { h } from "../dom.js";
import { heatMap } from "./heat.js";
import { address, kindOf, preview } from "./preview.js";

export function show(place) {
  const files = JSON.parse(place.dataset.files);
  const series = new Map();
  for (const file of files) { if (!series.has(file.key)) series.set(file.key, []); series.get(file.key).push(file); }
  place.className = "media";
  place.replaceChildren(...[...series].sort(([a], [b]) => a.localeCompare(b)).map(([key, members]) => card(place, key, members)));
}

function card(place, key, members) {
  const kind = members[0].about?.kind ?? kindOf(members[0].path, members[0].media_type);
  const steps = [...new Set(members.map((each) => each.step))].sort((a, b) => a - b);
  const body = h("div", { class: "media-body" });
  const where = h("output", { class: "faint" });
  const draw = async (index) => {
    where.textContent = steps[index] === null ? "" : `step ${steps[index].toLocaleString("en-US")}`;
    const now = members.filter((each) => each.step === steps[index]);
    if (kind === "histogram") { body.replaceChildren(heatMap(members)); return; }
    body.replaceChildren(...await Promise.all(now.slice(0, 64).map(async (file) => {
      const { raw } = place.dataset;
      const shown = kindOf(file.path, file.media_type) === "image" ? h("a", { class: "picture", href: address(raw, file.path) }, h("img", { src: address(raw, file.path), alt: file.about?.caption || `${key}, step ${file.step}`, loading: "lazy" })) : await preview({ raw, path: file.path, type: file.media_type, size: file.size, run: raw.match(/runs\/([^/]+)/)[1] }).catch((error) => h("p", { class: "nothing" }, error.message));
      return h("figure", {}, shown, file.about?.caption ? h("figcaption", {}, file.about.caption) : "");
    })));
  };
  const slider = steps.length > 1 && kind !== "histogram" ? h("input", { type: "range", min: 0, max: steps.length - 1, value: steps.length - 1, aria: { label: `Step of ${key}` }, oninput: (event) => draw(Number(event.target.value)) }) : "";
  draw(steps.length - 1);
  return h("section", { class: "card", aria: { label: key } }, h("h2", {}, key, " ", h("small", {}, `${kind}${steps.length > 1 ? `, ${steps.length} steps` : ""}`)), slider ? h("div", { class: "line" }, slider, where) : where, body);
}
