// The page of a run: each part loads what it needs, when it is there.
import { setUpEditing } from "./editing.js";
import { setUpFind } from "./find.js";

setUpEditing();
setUpFind();

const board = document.querySelector("[data-board]");
if (board) {
  const { Board } = await import("../board/board.js");
  new Board(board, { runs: JSON.parse(board.dataset.runs), keys: JSON.parse(board.dataset.keys) });
}
for (const pre of document.querySelectorAll("pre.diff")) pre.replaceChildren(...(await import("./preview.js")).diff(pre.textContent));
for (const [id, module] of [["run-logs", "./logs.js"], ["run-media", "./media.js"], ["run-files", "./files.js"]]) {
  const place = document.getElementById(id);
  if (place) (await import(module)).show(place);
}
