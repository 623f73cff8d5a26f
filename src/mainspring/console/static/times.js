// "3 min ago" stays true while the page is open.
const UNITS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

export function relative(then, now) {
  const seconds = (now - then) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  const [, unit, name] = UNITS.find(([limit]) => size < limit);
  const shown = `${Math.floor(size / unit)} ${name}`;
  return seconds > 0 ? `${shown} ago` : `in ${shown}`;
}

export function setUpTimes() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[datetime]")) {
    const then = Date.parse(time.dateTime);
    const text = relative(then, now);
    if (!Number.isNaN(then) && time.textContent !== text) time.textContent = text;
  }
}

setInterval(setUpTimes, 10000);
