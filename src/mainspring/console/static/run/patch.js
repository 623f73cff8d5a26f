// What differed from the commit when the run began.
import { h } from "../dom.js";
import { diff } from "./preview.js";

export async function show(place) {
  if (!place.dataset.href) return;
  const answer = await fetch(place.dataset.href).catch(() => null);
  if (!answer?.ok) return;
  const text = await answer.text();
  place.replaceChildren(h("section", { class: "card", aria: { label: "Changes" } }, h("h2", {}, place.dataset.title, " ", h("small", {}, place.dataset.note ?? "")), h("pre", { class: "code diff" }, diff(text.slice(0, 400_000)))));
}
