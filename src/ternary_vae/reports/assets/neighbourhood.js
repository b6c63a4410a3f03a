// What the networks make of a gate, of those that differ from it in one entry, and of a line between two.
const networks = data.networks && { a: unpackNetworks(data.networks.a), b: unpackNetworks(data.networks.b) };

function unpackNetworks(packed) {
  return { ...packed, encoder: unpackProgram(packed.encoder), decoder: unpackProgram(packed.decoder) };
}
// A gate's posterior mean. Values are read as `Space.as_input` and `Encoder.as_read` have them.
function codeOf(vae, values) {
  const read = (value) => (value - space.lowest - vae.middle_value + space.values) % space.values;
  return compute(
    vae.encoder,
    values.map((value) => (2 * read(value)) / (space.values - 1) - 1),
  );
}
const answerTo = (vae, code) => mostLikelyValues(compute(vae.decoder, code));

// All gates that differ in one entry, the nearest first: how far their codes lie, and how many entries are decoded wrong.
function neighboursOf(vae, values) {
  const code = codeOf(vae, values),
    found = [];
  for (let entry = 0; entry < space.entries; entry++)
    for (const value of VALUES) {
      if (value === values[entry]) continue;
      const other = Object.assign([...values], { [entry]: value }),
        place = codeOf(vae, other);
      const distance = Math.hypot(...place.map((one, dimension) => one - code[dimension]));
      found.push({ entry, values: other, distance, wrong: entriesBetween(other, answerTo(vae, place)) });
    }
  return found.sort((one, other) => one.distance - other.distance);
}
// What a VAE decodes at evenly spaced places on the straight line between two codes.
function lineBetween(vae, from, to, steps = 10) {
  const [start, end] = [codeOf(vae, from), codeOf(vae, to)];
  return Array.from({ length: steps + 1 }, (_, step) => {
    const share = step / steps;
    return { share, values: answerTo(vae, between(start, end, share)) };
  });
}
