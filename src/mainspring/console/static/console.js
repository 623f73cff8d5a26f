// The page works without any of this; each module adds one convenience.
import { setUpCharts } from "./charts.js";
import { setUpCopy } from "./copy.js";
import { setUpKeys } from "./keys.js";
import { setUpLive } from "./live.js";
import { setUpPalette } from "./palette.js";
import { setUpTheme } from "./theme.js";
import { setUpTimes } from "./times.js";

const palette = setUpPalette();
const live = setUpLive(() => refresh());
const theme = setUpTheme();
setUpKeys({ palette, live, theme });
refresh();

// Run again after a part of the page was replaced.
function refresh() {
  setUpCharts(document);
  setUpCopy(document);
  setUpTimes();
}
