// What a text names among gates of two inputs, and what else it may mean.
const MOST_SHOWN = 60;

// As `readGate`, by index.
function find(text) {
  const { readings, partial } = readGate(text);
  return {
    readings: readings.map(({ values, how }) => ({ index: indexOf(values), how })),
    ...(partial ? { partial, count: 3 ** partial.filter((value) => value === null).length } : {}),
  };
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
