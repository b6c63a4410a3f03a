// What the code knows: which entries each dimension carries, and distance by Hamming distance beside ideal axes.
function showStructure() {
  const of = state.vae,
    known = data.structure[of],
    name = `VAE-${of.toUpperCase()}`;
  document
    .getElementById("structure-content")
    .replaceChildren(
      make(
        "p",
        `Rows are the dimensions of ${name} with their variance, columns the entries by the inputs (a, b) that they answer. ` +
          "Per cent of the dimension's variance that the entry explains, from 10 on.",
        { class: "quiet" },
      ),
      carriedTable(of, known),
      make("h3", "Distance by entries that differ"),
      distanceChart(of, known.by_hamming, data.structure.ideal),
      make("p", `${name} with the band of 5% to 95% of pairs; the thin line is ideal axes, one an entry.`, {
        class: "quiet",
      }),
    );
}
function carriedTable(of, { dimensions, variances, carried }) {
  const { entries } = data.structure;
  const names = entries.map((inputs, entry) => make("th", inputs, { scope: "col", title: `entry ${entry}` }));
  const rows = dimensions.map((dimension, at) => [
    make("th", `z${dimension}: ${fixed(variances[at], 2)}`, { scope: "row" }),
    ...carried[at].map((share, entry) =>
      make("td", share >= 0.1 ? percent(share, 0).slice(0, -1) : null, {
        title: `z${dimension}, entry ${entry}, inputs ${entries[entry]}: ${percent(share)}`,
        style: `--share: ${share}`,
      }),
    ),
  ]);
  return tableOf([make("td"), ...names], rows, { class: `carried of-${of}` });
}
function distanceChart(of, { hamming, mean, low, high }, ideal) {
  const wide = 384,
    tall = 210,
    most = Math.max(...high, ...ideal.mean),
    x = (entries) => 30 + ((entries - 1) / (hamming.length - 1)) * (wide - 42),
    y = (distance) => tall - 24 - (distance / most) * (tall - 34);
  const points = (distances) => distances.map((distance, at) => `${x(hamming[at])},${y(distance)}`);
  const told = hamming.map((entries, at) => `${entries}: ${fixed(mean[at], 2)} (ideal axes ${fixed(ideal.mean[at], 2)})`);
  const chart = drawn("svg", {
    viewBox: `0 0 ${wide} ${tall}`,
    class: `distances of-${of}`,
    role: "img",
    "aria-label": `Mean distance in the code by entries that differ. ${told.join(", ")}`,
  });
  for (let distance = 0; distance <= most; distance++)
    chart.append(
      drawn("line", { x1: x(1), x2: x(hamming.length), y1: y(distance), y2: y(distance) }),
      drawn("text", { x: 18, y: y(distance) + 4, "text-anchor": "end" }, `${distance}`),
    );
  for (const entries of hamming) chart.append(drawn("text", { x: x(entries), y: tall - 6, "text-anchor": "middle" }, `${entries}`));
  chart.append(
    drawn("polygon", { points: [...points(low), ...points(high).reverse()].join(" ") }),
    drawn("polyline", { class: "ideal", points: points(ideal.mean).join(" ") }),
    drawn("polyline", { points: points(mean).join(" ") }),
  );
  hamming.forEach((entries, at) => {
    const dot = drawn("circle", { cx: x(entries), cy: y(mean[at]), r: 4 });
    dot.append(drawn("title", {}, `${told[at]}, 5% to 95% of pairs ${fixed(low[at], 2)} to ${fixed(high[at], 2)}`));
    chart.append(dot);
  });
  return chart;
}
