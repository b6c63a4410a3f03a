// Packed numbers, truth tables and elements: what the map of a run and the atlas have in common.
const space = data.space; // of the operations
const COUNT = Number(space.operations); // rounded, where no number holds them
function bytes(text) {
  const raw = atob(text),
    out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
// Little-endian numbers, whatever the machine. Type is such as Int16Array; a view reads its numbers with getInt16.
function numbers(text, Type) {
  const view = new DataView(bytes(text).buffer),
    read = `get${Type.name.slice(0, -5)}`,
    out = new Type(view.byteLength / Type.BYTES_PER_ELEMENT);
  for (let i = 0; i < out.length; i++) out[i] = view[read](Type.BYTES_PER_ELEMENT * i, true);
  return out;
}
const shorts = (text) => numbers(text, Int16Array);
// The values of an operation's entries. Its index is a number, or a BigInt where numbers do not hold it.
function table(index) {
  const base = typeof index === "bigint" ? BigInt(space.values) : space.values,
    values = new Array(space.entries);
  for (let entry = 0; entry < space.entries; entry++) {
    const digit = index % base;
    values[entry] = Number(digit) + space.lowest;
    index = (index - digit) / base;
  }
  return values;
}
// The index of a truth table, a BigInt.
const wideIndex = (values) =>
  values.reduceRight((sum, value) => sum * BigInt(space.values) + BigInt(value - space.lowest), 0n);
const VALUES = Array.from({ length: space.values }, (_, at) => at + space.lowest);
const sign = (value) => (space.values === 3 ? "−0+"[value + 1] : `${value}`.replace("-", "−"));
// As `table_text` writes it.
function textOf(values) {
  if (space.values === 3) return values.map((value) => "-0+"[value + 1]).join("");
  return space.lowest === 0 ? values.map((value) => value.toString(36)).join("") : values.join(",");
}
// Of three values: a character of base 27 for three entries, the last of them first.
function heptavintimalOf(values) {
  let text = "";
  for (let at = 0; at < space.entries; at += 3)
    text = data.alphabet[values[at] + 1 + 3 * (values[at + 1] + 1) + 9 * (values[at + 2] + 1)] + text;
  return text;
}
const INPUTS = [..."abcdefghij"].slice(0, space.inputs); // what they are called
// The values of the inputs at an entry; the last of them changes fastest.
function argumentsAt(entry) {
  const found = [];
  for (let input = 0; input < space.inputs; input++) {
    found.unshift((entry % space.values) + space.lowest);
    entry = Math.floor(entry / space.values);
  }
  return found;
}
// A truth table by rows: one for all inputs but the last, whose values are the columns.
const CORNER = [INPUTS.slice(0, -1).join(" "), INPUTS.at(-1)].filter(Boolean).join("╲");
function tableRows(values) {
  const rows = [];
  for (let start = 0; start < space.entries; start += space.values)
    rows.push({
      label: argumentsAt(start).slice(0, -1).map(sign).join(" "),
      start,
      values: values.slice(start, start + space.values),
    });
  return rows;
}
const HOMES = ["VAE-A", "VAE-B", "neither"];
const HOME_CAPTION =
  "Home: the VAE with fewer wrong entries; ties by who is exact significantly more often under the same latent noise (McNemar, 1%).";

// An element with what it holds: text, an element, or a list of them.
function make(tag, content, attributes = {}) {
  const element = document.createElement(tag);
  element.append(...[content ?? []].flat());
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
// A table: the cells of its head, and those of each row.
const tableOf = (head, rows, attributes) =>
  make("table", [make("thead", make("tr", head)), make("tbody", rows.map((row) => make("tr", row)))], attributes);
// A list of facts, and a function that adds one.
function factList() {
  const facts = make("dl");
  return [facts, (name, value) => facts.append(make("dt", name), make("dd", value))];
}
// A truth table to look at; where others are expected, the values that differ from them are marked.
function truthTable(values, expected = values) {
  const rowInputs = INPUTS.slice(0, -1).join(" and "),
    label = `Truth table: ${rowInputs && `rows ${rowInputs}, `}columns ${INPUTS.at(-1)}`;
  return tableOf(
    [make("th", CORNER), ...VALUES.map((value) => make("th", sign(value), { scope: "col" }))],
    tableRows(values).map(({ label: before, start, values: answers }) => [
      make("th", before, { scope: "row" }),
      ...answers.map((value, at) => cell(value, expected[start + at])),
    ]),
    { class: "truth", "aria-label": label },
  );
}
function cell(value, expected) {
  const high = (2 * (value - space.lowest)) / (space.values - 1) - 1, // from −1 to 1
    style = `--strength: ${Math.round(30 * Math.abs(high))}%`;
  const one = make("td", sign(value), { "data-side": high > 0 ? "high" : "low", style });
  if (value !== expected) {
    one.className = "wrong";
    one.title = `wrong: ${sign(expected)} is expected`;
  }
  return one;
}
// In how many entries two truth tables differ.
const entriesBetween = (one, other) => one.reduce((sum, value, entry) => sum + (value !== other[entry]), 0);
// Numbers from 0 on in an order that is always the same, for drawing: of points in index order, the last would
// hide the rest.
function inRandomOrder(count) {
  const order = Array.from({ length: count }, (_, i) => i);
  let seed = 20251124;
  for (let i = count - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = seed % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
