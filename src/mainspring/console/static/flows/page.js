// The pages of flows: buttons that act, answers, the graph, logs. The main part of a live page is replaced while it is
// looked at, so presses are listened for on the document, and what is drawn over a part is drawn again when it is new.
import { markdown } from "../markdown.js";
import { setUpActs } from "./acts.js";
import { setUpAnswers } from "./answers.js";
import { setUpGraph } from "./graph.js";
import { setUpLogs } from "./logs.js";

document.documentElement.classList.add("scripted");
setUpActs();
setUpAnswers();
const draw = () => {
  setUpGraph();
  setUpLogs();
  for (const place of document.querySelectorAll("[data-markdown]")) {
    if (place.dataset.ready) continue;
    place.dataset.ready = "yes";
    place.replaceChildren(markdown(place.textContent));
  }
  const tabs = document.querySelector(".tabs"), current = tabs?.querySelector("[aria-current]");
  if (current) tabs.scrollLeft = current.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - current.offsetWidth) / 2;
};
draw();
new MutationObserver(draw).observe(document.getElementById("main"), { childList: true });
document.addEventListener("change", (event) => { if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit(); });
