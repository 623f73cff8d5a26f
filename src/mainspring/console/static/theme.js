// Themes without a round trip: the links of the switch work without a script, this makes them quicker.
const ORDER = ["system", "light", "dark"];

export function setUpTheme() {
  const links = [...document.querySelectorAll("[data-theme-to]")];
  const set = (name) => {
    document.documentElement.dataset.theme = name;
    const path = document.body.dataset.base || "/";
    document.cookie = `theme=${name}; Max-Age=31536000; SameSite=Lax; Path=${path}`;
    for (const link of links) {
      if (link.dataset.themeTo === name) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      set(link.dataset.themeTo);
    });
  }
  return { next: () => set(ORDER[(ORDER.indexOf(document.documentElement.dataset.theme) + 1) % ORDER.length]) };
}
