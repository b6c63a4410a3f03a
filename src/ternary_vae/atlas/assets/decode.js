// What decoders answer to a latent vector, and on the way between two of them.
const decode = (side, z) => compute(side.decoder, z);
const onTheWay = (side, from, to, share) => between(latent(side, from), latent(side, to), share);
const mostLikely = (logits) => indexOf(mostLikelyValues(logits));
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
// The gates met on the straight line between two posterior means: each with the shares of the way between which it is
// the answer. Ends of a stretch are halved down to a thousandth of a step.
const WALK_STEPS = 400;
function walkBetween(side, from, to) {
  const answer = (share) => mostLikely(decode(side, onTheWay(side, from, to, share)));
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
