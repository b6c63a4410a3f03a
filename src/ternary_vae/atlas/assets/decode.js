// The decoders, step by step on one latent vector, as `decoder_program` writes them.
function decode(side, z) {
  let vector = Float64Array.from(z),
    kept = null;
  for (const step of side.decoder) {
    if (step.do === "linear") {
      const out = Float64Array.from(step.bias);
      for (let row = 0, at = 0; row < out.length; row++) {
        let sum = 0;
        for (let column = 0; column < step.inputs; column++, at++) sum += step.weight[at] * vector[column];
        out[row] += sum;
      }
      vector = out;
    } else if (step.do === "relu") vector = vector.map((value) => Math.max(value, 0));
    else if (step.do === "keep") kept = vector;
    else vector = vector.map((value, at) => value + kept[at]);
  }
  return vector;
}
// Of equally likely values the lowest, as in `logits_to_tables`.
function mostLikely(logits) {
  const values = [];
  for (let entry = 0; entry < 9; entry++) {
    const [minus, zero, plus] = logits.subarray(3 * entry, 3 * entry + 3);
    values.push(plus > Math.max(minus, zero) ? 1 : zero > minus ? 0 : -1);
  }
  return indexOf(values);
}
// The probability of each entry's most likely value.
function certainty(logits) {
  const found = [];
  for (let entry = 0; entry < 9; entry++) {
    const three = logits.subarray(3 * entry, 3 * entry + 3),
      top = Math.max(...three);
    found.push(1 / three.reduce((sum, one) => sum + Math.exp(one - top), 0));
  }
  return found;
}
function between(side, from, to, share) {
  const a = latent(side, from),
    b = latent(side, to);
  return Float64Array.from(a, (value, d) => value + (b[d] - value) * share);
}
// The gates met on the straight line between two posterior means: each with the shares of the way between which it is
// the answer. Ends of a stretch are halved down to a thousandth of a step.
const WALK_STEPS = 400;
function walkBetween(side, from, to) {
  const answer = (share) => mostLikely(decode(side, between(side, from, to, share)));
  const stops = [{ index: answer(0), start: 0 }];
  for (let step = 1; step <= WALK_STEPS; step++) {
    const index = answer(step / WALK_STEPS),
      last = stops[stops.length - 1];
    if (index === last.index) continue;
    let low = (step - 1) / WALK_STEPS,
      high = step / WALK_STEPS;
    for (let halving = 0; halving < 10; halving++) {
      const middle = (low + high) / 2;
      if (answer(middle) === last.index) low = middle;
      else high = middle;
    }
    last.end = high;
    stops.push({ index, start: high });
  }
  stops[stops.length - 1].end = 1;
  return stops;
}
