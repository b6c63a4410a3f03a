// Packed numbers, truth tables and elements: what the map of a run and the atlas have in common.
function bytes(text) {
  const raw = atob(text),
    out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
// Little-endian numbers, whatever the machine: Type and read are such as Int16Array and "getInt16".
function numbers(text, Type, read) {
  const view = new DataView(bytes(text).buffer),
    out = new Type(view.byteLength / Type.BYTES_PER_ELEMENT);
  for (let i = 0; i < out.length; i++) out[i] = view[read](Type.BYTES_PER_ELEMENT * i, true);
  return out;
}
const shorts = (text) => numbers(text, Int16Array, "getInt16");
function table(index) {
  const values = new Array(9);
  for (let j = 0; j < 9; j++) {
    values[j] = (index % 3) - 1;
    index = Math.floor(index / 3);
  }
  return values;
}
const SIGNS = { "-1": "−", 0: "0", 1: "+" };
const HOMES = ["VAE-A", "VAE-B", "neither"];

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== null) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
function truthTable(index) {
  const t = table(index),
    grid = make("table", null, { class: "truth", "aria-label": "Truth table: rows a, columns b" });
  const head = make("tr", null);
  head.append(make("th", "a╲b"), ...[-1, 0, 1].map((value) => make("th", SIGNS[value], { scope: "col" })));
  const thead = make("thead", null),
    body = make("tbody", null);
  thead.append(head);
  for (const a of [0, 1, 2]) {
    const row = make("tr", null);
    row.append(
      make("th", SIGNS[a - 1], { scope: "row" }),
      ...[0, 1, 2].map((b) => make("td", SIGNS[t[3 * a + b]], { "data-value": t[3 * a + b] })),
    );
    body.append(row);
  }
  grid.append(thead, body);
  return grid;
}
