// What a text names, read as by `ternary-vae gate`: names, heptavintimal names, indices and truth tables, in which ?
// stands for any value.
const KINDS = ["index", "table", "heptavintimal", "name"];
const MOST_SHOWN = 60;

function folded(name) {
  return name
    .toLowerCase()
    .replace(/ß/g, "ss")
    .replace(/ł/g, "l")
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[\s_-]+/g, " ")
    .trim();
}
function parseTable(word) {
  const plain = word.replace(/−/g, "-").replace(/[\s/|]/g, "");
  let symbols = plain,
    known;
  if (plain.includes(",")) {
    symbols = plain.split(",");
    known = { "-1": -1, 0: 0, 1: 1, "+1": 1 };
  } else if (/[12]/.test(plain)) known = { 0: -1, 1: 0, 2: 1 };
  else if (/^[0?]*0[0?]*$/.test(plain))
    return null; // value 0, or class 0
  else known = { "-": -1, 0: 0, "+": 1 };
  const values = [...symbols].map((symbol) => (symbol === "?" ? null : known[symbol]));
  return values.length === 9 && !values.includes(undefined) ? values : null;
}
const READINGS = {
  index(word) {
    const plain = word.replace(/(?<=\d)[,_](?=\d{3})/g, "");
    return /^\d{1,2000}$/.test(plain) && Number(plain) < COUNT ? [{ index: Number(plain), how: "index" }] : [];
  },
  table(word) {
    if (/^0{9}$/.test(word))
      return [
        { index: 0, how: "truth table in classes 0, 1, 2" },
        { index: indexOf(Array(9).fill(0)), how: "truth table" },
      ];
    const values = parseTable(word);
    return values && !values.includes(null) ? [{ index: indexOf(values), how: "truth table" }] : [];
  },
  heptavintimal(word) {
    const digits = [...word.toUpperCase()].map((digit) => data.alphabet.indexOf(digit));
    if (digits.length !== 3 || digits.includes(-1)) return [];
    return [{ index: digits.reduce((sum, digit) => 27 * sum + digit, 0), how: "heptavintimal name" }];
  },
  name(word) {
    const meant = Object.hasOwn(data.forms, folded(word)) ? data.forms[folded(word)] : {};
    return Object.entries(meant).map(([index, name]) => ({ index: Number(index), how: `name ${name}` }));
  },
};
// {readings: [{index, how}, …]} of different gates; or {partial, count} of an open table; {readings: []} is nothing.
function find(text) {
  const colon = text.indexOf(":"),
    kind = text.slice(0, Math.max(colon, 0)).trim().toLowerCase();
  if (colon >= 0 && !KINDS.includes(kind)) return { readings: [] };
  const word = text.slice(colon + 1).trim(),
    kinds = colon >= 0 ? [kind] : KINDS;
  const partial = kinds.includes("table") && word.includes("?") ? parseTable(word) : null;
  if (partial) return { readings: [], partial, count: 3 ** partial.filter((value) => value === null).length };
  let found = kinds.flatMap((one) => READINGS[one](word).map((reading) => ({ ...reading, kind: one })));
  if (found.some((one) => one.kind === "name") && word !== word.toUpperCase())
    found = found.filter((one) => one.kind !== "heptavintimal");
  const readings = new Map();
  for (const { index, how } of found)
    readings.set(index, readings.has(index) ? `${readings.get(index)} and ${how}` : how);
  return { readings: [...readings].map(([index, how]) => ({ index, how })) };
}
function fitting(partial) {
  const found = [];
  for (let i = 0; i < COUNT; i++)
    if (table(i).every((value, at) => partial[at] === null || partial[at] === value)) found.push(i);
  return found;
}
// Gates with a name that holds the text, those that begin with it first.
function suggestions(text) {
  const wanted = folded(text);
  if (!wanted) return [];
  const found = new Map();
  for (const [form, meant] of Object.entries(data.forms))
    for (const [index, name] of Object.entries(meant)) {
      const at = form.indexOf(wanted);
      if (at >= 0 && (!found.has(index) || found.get(index).at > at))
        found.set(index, { index: Number(index), name, at });
    }
  return [...found.values()].sort((one, other) => one.at - other.at || one.name.localeCompare(other.name));
}
