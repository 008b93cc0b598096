// Colours: the system's, or the ones that were chosen in this browser.
import { effect, signal } from "../vendor/vendor.js";
import { remember, remembered } from "./base.js";

/** "" for the system's, "light" or "dark". */
export const theme = signal(remembered("theme", ""));

/** Grows when colours have changed, for what is drawn on a canvas. */
export const themeChanges = signal(0);

/** @param {string} name */
export function setTheme(name) {
  theme.value = name;
  remember("theme", name);
}

/** Apply the theme and notice changes of the system's. */
export function startTheme() {
  effect(() => {
    const name = theme.value;
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    themeChanges.value = themeChanges.peek() + 1;
  });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(query).addEventListener("change", () => { themeChanges.value += 1; });
  }
}
