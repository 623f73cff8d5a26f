// The page that compares: the parts that are drawn by a script are loaded when they are opened.
import { state } from "../state.js";
import { Board } from "../board/board.js";

const root = document.getElementById("compare");
if (root) {
  const runs = JSON.parse(root.dataset.runs), keys = JSON.parse(root.dataset.keys), columns = JSON.parse(root.dataset.columns);
  const board = root.querySelector("[data-part=charts]");
  if (board) new Board(board, { runs, keys, baseline: root.dataset.baseline });
  const ids = runs.map((run) => run.id);
  for (const part of ["parallel", "scatter"]) {
    const fold = document.getElementById(`fold-${part}`);
    const open = async () => {
      if (!fold.open || fold.dataset.ready) return;
      fold.dataset.ready = "1";
      const { show } = await import(`./${part}.js`);
      show(fold.querySelector("[data-part]"), { ids, columns, experiments: () => [...new Set(runs.map((run) => run.experiment))] });
    };
    fold?.addEventListener("toggle", open);
    if (fold) open();
  }
  state.listen(() => {});
}
