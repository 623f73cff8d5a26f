// Elements in one line: h("button", { class: "quiet", onclick: act, aria: { pressed: true } }, "Text", child).
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "aria") for (const [key, each] of Object.entries(value)) element.setAttribute(`aria-${key}`, String(each));
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

export function debounce(wait, work) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), wait);
  };
}

// One thing said at the foot of the window, with at most one thing to do about it.
let spoken = null;
export function say(text, { action = "", act = null, bad = false } = {}) {
  spoken?.remove();
  spoken = h("div", { class: bad ? "toast bad" : "toast", role: bad ? "alert" : "status" }, h("span", {}, text));
  const mine = spoken;
  const close = () => { mine.remove(); };
  if (action) spoken.append(h("button", { class: "quiet", type: "button", onclick: () => { close(); act(); } }, action));
  spoken.append(h("button", { class: "quiet", type: "button", aria: { label: "Close" }, onclick: close }, "×"));
  document.body.append(spoken);
  setTimeout(close, action ? 10000 : bad ? 8000 : 4000);
}

export function download(name, content, type) {
  const link = h("a", { href: URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A button with a panel under it; closes on Escape and on a press elsewhere.
export function menu(label, build, { title = "", className = "" } = {}) {
  const panel = h("div", { class: "panel", hidden: true, role: "group", aria: { label: title || label } });
  const button = h("button", { class: `button ${className}`, type: "button", aria: { expanded: false, haspopup: "true" }, title: title || null }, label);
  const root = h("div", { class: "menu" }, button, panel);
  const outside = (event) => { if (!root.contains(event.target)) close(); };
  const close = () => {
    if (panel.hidden) return;
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
  };
  const open = () => {
    panel.replaceChildren(...[build(close)].flat());
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    const over = panel.getBoundingClientRect();
    panel.classList.toggle("left", over.right > innerWidth - 8);
    document.addEventListener("pointerdown", outside, true);
    panel.querySelector("input, button, select, textarea")?.focus();
  };
  button.addEventListener("click", () => { if (panel.hidden) open(); else close(); });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    close();
    button.focus();
  });
  return { root, button, open, close };
}
