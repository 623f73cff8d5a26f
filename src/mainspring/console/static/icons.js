// Line icons of 16 by 16, drawn with the colour of the text.
const PATHS = {
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  shut: "M2 2l12 12M6.3 3.8A6.6 6.6 0 0 1 8 3.5C12 3.5 14.5 8 14.5 8a11 11 0 0 1-2 2.5M4 5.200A11 11 0 0 0 1.500 8S4 12.500 8 12.500a6.400 6.400 0 0 0 2.800-.600",
  pin: "M6 1.500h4M7 1.500v4.500L4.500 9h7L9 6V1.500M8 9v5.500",
  delta: "M8 3 14 13H2z",
  columns: "M2 3h12v10H2zM6 3v10M10 3v10",
  group: "M2 3h5v4H2zM9 3h5v4H9zM2 9h5v4H2zM9 9h5v4H9z",
  save: "M3 2h10v12l-5-3.500L3 14z",
  load: "M8 2v8M4.500 7 8 10.500 11.500 7M2.500 13.500h11",
  full: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  close: "M3 3l10 10M13 3 3 13",
  edit: "M2.500 13.500l.700-3L10.500 3l2.500 2.500-7.500 7.300z",
  trash: "M2.500 4h11M6 4V2.500h4V4M4 4l.700 9.500h6.600L12 4",
  tag: "M2 2h5.500L14 8.500 8.500 14 2 7.500zM5 5h.01",
  compare: "M5 2v12M11 2v12M1.500 5h7M7.500 11h7",
  log: "M2 13.500h12M3 11l3-4 3 2 4.500-6",
  more: "M3 8h.01M8 8h.01M13 8h.01",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of [["viewBox", "0 0 16 16"], ["width", "16"], ["height", "16"], ["aria-hidden", "true"], ["class", "icon"]]) svg.setAttribute(key, value);
  const path = document.createElementNS(svg.namespaceURI, "path");
  for (const [key, value] of [["d", PATHS[name]], ["fill", "none"], ["stroke", "currentColor"], ["stroke-width", name === "more" ? "2.4" : "1.4"], ["stroke-linecap", "round"], ["stroke-linejoin", "round"]]) path.setAttribute(key, value);
  svg.append(path);
  return svg;
}
