// Every gate unpacked: where both VAEs place it, what became of it there, and what holds whatever the model.
function unpackSide(packed) {
  const whole = shorts(packed.means),
    dimensions = packed.scales.length,
    means = new Float32Array(whole.length);
  for (let i = 0; i < whole.length; i++) means[i] = whole[i] * packed.scales[i % dimensions];
  const side = {
    dimensions,
    means,
    centre: packed.centre,
    axes: packed.axes,
    variance: packed.variance,
    errors: bytes(packed.errors),
    neighbour: bytes(packed.neighbour),
    exact: numbers(packed.exact, Uint16Array),
    decoder: unpackProgram(packed.decoder),
  };
  side.components = side.axes.map(() => new Float32Array(COUNT));
  for (let i = 0; i < COUNT; i++)
    project(side, latent(side, i)).forEach((value, at) => {
      side.components[at][i] = value;
    });
  return side;
}
const labelOf = ({ name }) => name.replaceAll("_", " ");
function unpackProperty(packed) {
  let values;
  if (packed.bits) {
    const raw = bytes(packed.bits);
    values = new Uint8Array(COUNT);
    for (let i = 0; i < COUNT; i++) values[i] = (raw[i >> 3] >> (i & 7)) & 1;
  } else values = bytes(packed.values);
  return { ...packed, label: labelOf(packed), yesOrNo: Boolean(packed.bits), values };
}
function unpackClasses(packed) {
  const least = numbers(packed.least, Uint16Array),
    sizes = new Uint16Array(COUNT);
  for (let i = 0; i < COUNT; i++) sizes[least[i]]++;
  return { ...packed, label: labelOf(packed), least, sizes: sizes.map((_, i) => sizes[least[i]]) };
}

// A gate's posterior mean, and where a point of the latent space lies on the principal components.
const latent = (side, index) => side.means.subarray(side.dimensions * index, side.dimensions * (index + 1));
function project(side, z) {
  return side.axes.map((axis) => axis.reduce((sum, part, d) => sum + part * (z[d] - side.centre[d]), 0));
}

const vaes = { a: unpackSide(data.vaes.a), b: unpackSide(data.vaes.b) };
const home = bytes(data.home);
const properties = data.properties.map(unpackProperty);
const classes = data.classes.map(unpackClasses);

const heptavintimal = (index) => heptavintimalOf(table(index));
const tableText = (index) => textOf(table(index));
const namesOf = (index) => data.names[index] || [];
const title = (index) => namesOf(index)[0] || heptavintimal(index);
const shortTitle = (index) => title(index).replace(/ \(.*\)/, ""); // without another name in brackets
const indexOf = (values) => Number(wideIndex(values));
// How often 3 divides the index: how many of the first entries are −1. Of index 0 all nine are.
function valuation(index) {
  const first = table(index).findIndex((value) => value > -1);
  return first === -1 ? 9 : first;
}
// The gates whose means are nearest to a gate's own, the nearest first.
function nearestInLatentSpace(side, index, count) {
  const z = latent(side, index),
    found = [];
  for (let i = 0; i < COUNT; i++) {
    if (i === index) continue;
    let squared = 0;
    for (let d = 0; d < side.dimensions; d++) squared += (side.means[side.dimensions * i + d] - z[d]) ** 2;
    if (found.length < count || squared < found[count - 1].squared) {
      found.push({ index: i, squared });
      found.sort((one, other) => one.squared - other.squared);
      found.length = Math.min(found.length, count);
    }
  }
  return found.map(({ index: i, squared }) => ({ index: i, distance: Math.sqrt(squared) }));
}
function oneEntryApart(index) {
  const values = table(index),
    found = [];
  for (let at = 0; at < 9; at++)
    for (const value of [-1, 0, 1])
      if (value !== values[at]) found.push({ at, index: index + (value - values[at]) * 3 ** at });
  return found;
}
