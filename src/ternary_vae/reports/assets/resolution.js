// Resolution curves, and coverage against draws.
const SIDES = [
  ["a", "VAE-A", "dash", "circle-open"],
  ["b", "VAE-B", "solid", "square-open"],
];
charts["chart-curve"] = (c) => {
  const traces = [],
    shapes = [],
    annotations = [];
  data.curves.forEach((curve, at) => {
    const last = at === data.curves.length - 1;
    for (const [side, name, dash, symbol] of SIDES) {
      const { sigma, rate, half } = curve[side],
        colour = c[side];
      traces.push(
        line(`${name}, epoch ${curve.epoch}`, sigma, rate, colour, dash, {
          mode: last ? "lines+markers" : "lines",
          opacity: last ? 1 : 0.25 + 0.5 * (at / data.curves.length),
          marker: { symbol, size: 6 },
          width: last ? 2 : 1.2,
          visible: last ? true : "legendonly",
          showlegend: last || at % Math.ceil(data.curves.length / 4) === 0,
        }),
      );
      if (last && half !== null) {
        shapes.push({
          type: "line",
          x0: half,
          x1: half,
          yref: "y",
          y0: 0,
          y1: 0.5,
          line: { color: colour, dash: "dot", width: 1.6 },
        });
        annotations.push({
          x: half,
          y: side === "a" ? 0.57 : 0.66,
          text: `&nbsp;${side.toUpperCase()}: σ½ = ${fixed(half, 3)}`,
          showarrow: false,
          xanchor: "left",
          font: { size: 12, color: colour },
        });
      }
    }
  });
  const { sigma, rate } = data.ideal_axes;
  traces.push(line("ideal axes, one an entry", sigma, rate, c.limit, "solid", { width: 1.2 }));
  shapes.push(level(c, 0.5, "", "dot").shape);
  const last = data.curves.at(-1);
  const reach =
    1.08 *
    Math.max(...["a", "b"].flatMap((side) => last[side].sigma.filter((_, i) => i < 3 || last[side].rate[i] > 0.005)));
  const layout = baseLayout(c, {
    xaxis: { ...titled("latent noise σ"), range: [-0.01 * reach, reach] },
    yaxis: { ...shares, range: SHARES },
    shapes,
    annotations,
  });
  return { data: traces, layout };
};

function drawsLayout(c, yaxis) {
  const every = isNarrow() ? [1e3, 1e4, 1e5, 1e6] : [1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6];
  const tickvals = every.filter((draws) => draws <= data.draws.reach);
  return baseLayout(c, {
    xaxis: { ...titled("draws"), type: "log", tickvals, ticktext: tickvals.map(grouped), tickangle: 0 },
    yaxis,
  });
}
const drawsHover = (x, y) => x.map((draws, i) => `${percent(y[i])} with ${grouped(draws)} draws`);
// A curve of each VAE and of both over draws; `made` is its heights and what is said of each.
const ofDraws = (c, made) =>
  [...SIDES, ["both", "both, ρ = 0.7", "dot", "diamond-open"]].map(([key, name, dash, symbol]) => {
    const [heights, customdata] = made(data.draws[key]);
    return joined(name, data.draws[key].draws, heights, c[key], symbol, { dash, width: 1.6 }, { customdata });
  });
charts["chart-draws"] = (c) => {
  const traces = [
    line(data.uniform_model, data.draws.limit.draws, data.draws.limit.rate, c.limit, "solid", {
      hoverinfo: "skip",
      hovertemplate: undefined,
    }),
  ];
  traces.push(...ofDraws(c, ({ draws, rate }) => [rate, drawsHover(draws, rate)]));
  return { data: traces, layout: drawsLayout(c, { ...shares, range: SHARES }) };
};
charts["chart-gap"] = (c) => {
  const traces = ofDraws(c, ({ rate, limit }) => {
    const gap = rate.map((value, i) => 100 * (limit[i] - value));
    return [gap, gap.map((value) => `${fixed(value, 2)} points below ${data.uniform_model}`)];
  });
  return {
    data: traces,
    layout: drawsLayout(c, { title: { text: `points below ${data.uniform_model}`, font: { size: 11 } }, rangemode: "tozero" }),
  };
};
