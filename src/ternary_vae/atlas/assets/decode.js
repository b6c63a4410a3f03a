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
// the answer. Where a step leads to another gate, it is halved down to a thousandth of it, and so are both halves where
// a third one lies between.
const WALK_STEPS = 400;
function walkBetween(side, from, to) {
  const answer = (share) => mostLikely(decode(side, onTheWay(side, from, to, share)));
  const stops = [{ index: answer(0), start: 0 }];
  function advance(low, high, index, halvings) {
    const last = stops[stops.length - 1];
    if (index === last.index) return;
    if (halvings) {
      const middle = (low + high) / 2;
      advance(low, middle, answer(middle), halvings - 1);
      return advance(middle, high, index, halvings - 1);
    }
    last.end = high;
    stops.push({ index, start: high });
  }
  for (let step = 1; step <= WALK_STEPS; step++)
    advance((step - 1) / WALK_STEPS, step / WALK_STEPS, answer(step / WALK_STEPS), 10);
  stops[stops.length - 1].end = 1;
  return stops;
}
