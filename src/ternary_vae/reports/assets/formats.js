// Numbers as people read them. formats.py does the same, to the last digit: each number has one look everywhere.
function fixed(value, digits) {
  const text = value.toFixed(digits); // to the nearest, ties away from zero
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}
// 100% means exactly one, and 0% exactly nothing.
function percent(share, digits = 2) {
  if (share === null || share === undefined) return "not measured";
  if (share === 0 || share === 1) return `${100 * share}%`;
  const step = 10 ** -(digits + 2);
  if (share > 1 - step && share < 1) share = 1 - step;
  if (share > 0 && share < step) return `<${fixed(100 * step, digits)}%`;
  return `${fixed(100 * share, digits)}%`;
}
const GROUPED = new Intl.NumberFormat("en-GB"); // made once: the map alone shows twenty thousand numbers
const grouped = (value) => GROUPED.format(value);
const percents = (values) => values.map((value) => percent(value));
const plain = (values, digits = 3) =>
  values.map((value) => (value === null ? "not measured" : fixed(value, digits)));
