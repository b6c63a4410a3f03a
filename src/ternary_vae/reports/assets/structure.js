// What the codes know: distances, probes, what dimensions carry, and claims over milestones.
const known = data.structure;

charts["chart-distances"] = (c) => {
  const traces = SIDES.flatMap(([side, name, dash, symbol]) => {
    const { hamming, mean, low, high } = known[side].by_hamming;
    return [
      ...filledBand(hamming, low, high, `${c[side]}22`),
      joined(name, hamming, mean, c[side], symbol, { dash, width: 2 }, {
        customdata: mean.map((value, i) => `${fixed(value, 2)} [${fixed(low[i], 2)}, ${fixed(high[i], 2)}]`),
      }),
    ];
  });
  const { hamming, mean } = known.ideal;
  traces.push(line("ideal axes", hamming, mean, c.limit, "solid", { width: 1.2, customdata: plain(mean, 2) }));
  const layout = baseLayout(c, {
    xaxis: { ...titled("entries that differ"), tick0: 1, dtick: Math.ceil(hamming.length / 10), zeroline: false },
    yaxis: { ...titled("distance in the code"), rangemode: "tozero" },
  });
  return { data: traces, layout };
};

// Dots above the diagonal are read better from codes than from the table.
charts["chart-probes"] = (c) => {
  const one = (key, name, colour, symbol) => {
    const told = (probe) =>
      `<b>${probe.name.replaceAll("_", " ")}</b><br>${name} ${percent(probe[key])}` +
      `<br>one-hot table ${percent(probe.table_one_hot)}<br>chance ${percent(probe.chance, 0)}` +
      (probe.share === null ? "" : `<br>${percent(probe.share)} have it`);
    const [across, up] = ["table_one_hot", key].map((from) => known.probes.map((probe) => probe[from]));
    const customdata = known.probes.map(told);
    return dots(name, across, up, colour, symbol, { customdata, hovertemplate: "%{customdata}<extra></extra>" });
  };
  const lowest = Math.min(...known.probes.flatMap((probe) => [probe.table_one_hot, probe.vae_a, probe.vae_b, probe.both])),
    range = [Math.max(SHARES[0], lowest - 0.03), SHARES[1]];
  const equal = { type: "line", x0: 0, y0: 0, x1: 1, y1: 1, line: { color: c.quiet, width: 1, dash: "dot" } };
  const layout = baseLayout(c, {
    hovermode: "closest",
    hoverlabel: { bgcolor: c.surface, bordercolor: c.line, font: { color: c.ink, size: 12 }, align: "left" },
    xaxis: { ...shares, ...titled("balanced accuracy from the one-hot table"), range },
    yaxis: { ...shares, ...titled("from the codes"), range },
    shapes: [equal],
  });
  return {
    data: [
      one("both", "both codes", c.both, "diamond"),
      one("vae_a", "VAE-A", c.a, "circle-open"),
      one("vae_b", "VAE-B", c.b, "square-open"),
    ],
    layout,
  };
};

for (const [side] of SIDES)
  charts[`chart-carried-${side}`] = (c) => {
    const { dimensions, variances, carried } = known[side],
      entries = known.entries,
      written = entries.length <= 9,
      row = dimensions.length <= 20 ? 20 : 14,
      numbers = entries.map((_, entry) => entry);
    const trace = {
      type: "heatmap",
      z: carried,
      x: numbers,
      y: dimensions.map((_, at) => at),
      zmin: 0,
      zmax: written ? (isDark() ? 2 : 1.4) : 1, // so that ink is read on a full cell
      xgap: 1,
      ygap: 1,
      colorscale: [
        [0, c.surface],
        [1, c[side]],
      ],
      showscale: !written,
      colorbar: { thickness: 8, outlinewidth: 0, tickformat: ".0%", tickvals: [0, 0.5, 1] },
      showlegend: false,
      text: carried.map((shares) => shares.map((share) => (share >= 0.1 ? percent(share, 0).slice(0, -1) : ""))),
      textfont: { color: c.ink },
      texttemplate: written ? "%{text}" : undefined,
      customdata: carried.map((shares, at) =>
        shares.map((share, entry) => `entry ${entry}, inputs ${entries[entry]}<br>${percent(share)} of the variance of z${dimensions[at]}`),
      ),
      hovertemplate: "%{customdata}<extra></extra>",
    };
    const layout = baseLayout(c, {
      hovermode: "closest",
      xaxis: {
        ...titled("entry, by the inputs it answers"),
        tickvals: numbers,
        ticktext: entries,
        tickangle: written ? 0 : -90,
        tickfont: { size: written ? 12 : 10 },
        showgrid: false,
        zeroline: false,
      },
      yaxis: {
        ...titled("dimension: its variance"),
        tickvals: dimensions.map((_, at) => at),
        ticktext: dimensions.map((dimension, at) => `z${dimension}: ${fixed(variances[at], 2)}`),
        tickfont: { size: row === 20 ? 11 : 10 },
        autorange: "reversed",
        showgrid: false,
        zeroline: false,
      },
    });
    return { data: [trace], layout, height: 110 + row * dimensions.length };
  };

for (const [side] of SIDES)
  charts[`chart-claims-${side}`] = (c) => {
    const looks = [
      [c.ink, "circle"],
      [c.both, "square"],
      [c.mark, "diamond"],
      [c.amber, "triangle-up"],
      [c.b, "cross"],
      [c.quiet, "x"],
    ];
    const traces = known.claims.map((claim, at) => {
      const [colour, symbol] = looks[at % looks.length];
      return joined(claim.name, known.epochs, claim[side], colour, symbol, { width: 1.6 }, {
        told: claim.unit === "share" ? percents : plain,
      });
    });
    return { data: traces, layout: timeLayout(c, { yaxis: { range: SHARES } }) };
  };
