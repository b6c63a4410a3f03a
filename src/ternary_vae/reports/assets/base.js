// The page's script, first part: what a run left behind, words and numbers, colours. page.py joins the parts into one
// function.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const COUNT = 19683;

// As in formats.py: 100% means exactly one.
function percent(share, digits = 2) {
  if (share === null || share === undefined) return "not measured";
  if (share === 0 || share === 1) return `${100 * share}%`;
  const step = 10 ** -(digits + 2);
  if (share > 1 - step && share < 1) share = 1 - step;
  if (share > 0 && share < step) return `<${(100 * step).toFixed(digits)}%`;
  return `${(100 * share).toFixed(digits)}%`;
}
const grouped = (value) => value.toLocaleString("en-GB");
const percents = (values) => values.map((value) => percent(value));
const plain = (values, digits = 3) => values.map((value) => (value === null ? "not measured" : value.toFixed(digits)));

const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
function colours() {
  const style = getComputedStyle(root);
  const names = [
    "surface",
    "line",
    "ink",
    "quiet",
    "grid",
    "phase",
    "a",
    "b",
    "both",
    "mark",
    "amber",
    "limit",
    "plan",
    "neither",
  ];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
const isNarrow = () => innerWidth < 560;
const isTouch = () => matchMedia("(pointer: coarse)").matches;
