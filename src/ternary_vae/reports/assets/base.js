// The page's script, after formats.js: what a run left behind, and colours. page.py joins the parts into one function.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
function colours() {
  const style = getComputedStyle(root),
    names = "surface line ink quiet grid phase a b both mark amber limit plan neither".split(" ");
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
const isNarrow = () => innerWidth < 560;
const isTouch = () => matchMedia("(pointer: coarse)").matches;
