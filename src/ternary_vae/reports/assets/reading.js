// What gate a text names, read as by `ternary-vae gate`: names, heptavintimal names, indices and truth tables, in which
// ? stands for any value.

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
  const plain = word.replace(/−/g, "-").replace(/[\s/|]/g, "").toLowerCase();
  let symbols = plain,
    known = VALUES.map((value, at) => [at.toString(36), value]);
  if (plain.includes(",")) {
    symbols = plain.split(",");
    known = VALUES.flatMap((value) => [[`${value}`, value], ...(value > 0 ? [[`+${value}`, value]] : [])]);
  } else if (space.values === 3 && !/[12]/.test(plain)) {
    if (/^[0?]*0[0?]*$/.test(plain)) return null; // value 0, or class 0
    known = [..."-0+"].map((symbol, at) => [symbol, at - 1]);
  }
  const meant = new Map([["?", null], ...known]),
    values = [...symbols].map((symbol) => meant.get(symbol));
  return values.length === space.entries && !values.includes(undefined) ? values : null;
}
const READINGS = {
  index(word) {
    if (!/^(0|[1-9]\d{0,2}([,_]\d{3}){1,600}|[1-9]\d{0,1999})$/.test(word)) return [];
    const index = BigInt(word.replace(/[,_]/g, ""));
    return index < BigInt(space.operations) ? [{ values: table(index), how: "index" }] : [];
  },
  table(word) {
    if (space.values === 3 && /^0+$/.test(word) && word.length === space.entries)
      return [-1, 0].map((value) => ({
        values: Array(space.entries).fill(value),
        how: value ? "truth table in classes 0, 1, 2" : "truth table",
      }));
    const values = parseTable(word);
    return values && !values.includes(null) ? [{ values, how: "truth table" }] : [];
  },
  heptavintimal(word) {
    const digits = [...word.toUpperCase()].map((digit) => data.alphabet.indexOf(digit));
    if (space.values !== 3 || 3 * digits.length !== space.entries || digits.includes(-1)) return [];
    return [{ values: table(digits.reduce((sum, digit) => 27n * sum + BigInt(digit), 0n)), how: "heptavintimal name" }];
  },
  name(word) {
    const meant = Object.hasOwn(data.forms, folded(word)) ? data.forms[folded(word)] : {};
    return Object.entries(meant).map(([index, name]) => ({ values: table(BigInt(index)), how: `name ${name}` }));
  },
};
// {readings: [{values, how}, …]} of different gates; or {partial} of an open table; {readings: []} is nothing.
function readGate(text) {
  const colon = text.indexOf(":"),
    kind = text.slice(0, Math.max(colon, 0)).trim().toLowerCase();
  if (colon >= 0 && !Object.hasOwn(READINGS, kind)) return { readings: [] };
  const word = text.slice(colon + 1).trim(),
    kinds = colon >= 0 ? [kind] : Object.keys(READINGS);
  const partial = kinds.includes("table") && word.includes("?") ? parseTable(word) : null;
  if (partial) return { readings: [], partial };
  let found = kinds.flatMap((one) => READINGS[one](word).map((reading) => ({ ...reading, kind: one })));
  if (found.some((one) => one.kind === "name") && word !== word.toUpperCase())
    found = found.filter((one) => one.kind !== "heptavintimal");
  const readings = new Map();
  for (const { values, how } of found) {
    const one = textOf(values);
    readings.set(one, { values, how: readings.has(one) ? `${readings.get(one).how} and ${how}` : how });
  }
  return { readings: [...readings.values()] };
}
