// Descriptions of models and their versions: Markdown, edited in its place.
import { call } from "./api.js";
import { editable } from "./run/editing.js";

for (const place of document.querySelectorAll("[data-describe]")) {
  const { describe, values, text, nothing } = place.dataset;
  editable(place, text, (next) => call(describe, { ...JSON.parse(values), description: next }), nothing);
}
