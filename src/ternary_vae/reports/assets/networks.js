// Encoders and decoders, step by step on one vector, as `networks.py` writes them.
const unpackProgram = (steps) =>
  steps.map((step) =>
    step.do === "linear"
      ? { ...step, weight: numbers(step.weight, Float32Array), bias: numbers(step.bias, Float32Array) }
      : step,
  );
function compute(program, input) {
  let vector = Float64Array.from(input),
    kept = null;
  for (const step of program) {
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
function mostLikelyValues(logits) {
  const values = [];
  for (let first = 0; first < logits.length; first += space.values) {
    let best = 0;
    for (let at = 1; at < space.values; at++) if (logits[first + at] > logits[first + best]) best = at;
    values.push(best + space.lowest);
  }
  return values;
}
function between(from, to, share) {
  return from.map((value, dimension) => value + (to[dimension] - value) * share);
}
