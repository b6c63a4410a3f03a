// Charts over completed epochs: how each looks with given colours.
charts["chart-reconstruction"] = (c) => {
  const m = data.milestones,
    e = data.metrics.epoch;
  const band = data.expected.band;
  const [epochs, low, high] = [0, 1, 2].map((at) => band.map((point) => point[at]));
  const traces = filledBand(epochs, low, high, c.plan);
  Object.assign(traces[1], { name: "plan's expectation of A", showlegend: true });
  if (e.length) {
    traces.push(
      line("ensemble", e, metric("exact_match_best_of_two"), c.both, "solid", { width: 5, opacity: 0.45 }),
      line("VAE-B", e, metric("exact_match_b"), c.b),
      line("VAE-A", e, metric("exact_match_a"), c.a, "dash"),
      line("coupled A", e, metric("exact_match_coupled_a"), c.a, "dot", { visible: "legendonly" }),
      line("coupled B", e, metric("exact_match_coupled_b"), c.b, "dot", { visible: "legendonly" }),
    );
  }
  const own = (name, y, colour, symbol) =>
    traces.push(dots(`${name}, benchmark`, m.epoch, y, colour, symbol, { showlegend: !e.length }));
  own("ensemble", m.exact_match_best_of_two, c.both, "diamond-open");
  own("VAE-B", m.exact_match_b, c.b, "square-open");
  own("VAE-A", m.exact_match_a, c.a, "circle-open");
  return { data: traces, layout: timeLayout(c, { yaxis: { ...shares, range: SHARES } }) };
};

charts["chart-coverage"] = (c) => {
  const m = data.milestones,
    e = data.metrics.epoch,
    traces = [];
  if (e.length) {
    traces.push(line("each epoch, not mixed", e, metric("coverage"), c.both));
  }
  const banded = (name, key, colour, dash, symbol) => {
    const mean = m[key],
      low = m[`${key}_low`],
      high = m[`${key}_high`];
    traces.push(
      ...filledBand(m.epoch, low, high, colour + "33"),
      joined(name, m.epoch, mean, colour, symbol, { width: 1.5, dash }, {
        customdata: mean.map((value, i) => `${percent(value)} [${percent(low[i])}, ${percent(high[i])}]`),
      }),
    );
  };
  banded("ρ = 0.7, the plan's sum", "coverage_rho_07", c.b, "dash", "circle-open");
  banded("ρ = 0.7, prior preserved", "coverage_rho_07_prior_preserving", c.a, "dot", "triangle-up-open");
  const levels = [level(c, data.expected.coverage, "plan: 90% by the end", "dot")];
  if (m.coverage_limit !== null) {
    levels.push(level(c, m.coverage_limit, `${data.uniform_model}: ${percent(m.coverage_limit)}`));
  }
  // Logarithmic in what is missing to 100%, as in the printed figure: both the start and the last tenths are seen.
  for (const trace of traces) trace.y = trace.y.map(nines);
  for (const one of levels) {
    one.shape.y0 = one.shape.y1 = one.label.y = nines(one.shape.y0);
  }
  const covered = [...m.coverage_rho_07, ...m.coverage_rho_07_prior_preserving];
  const lowest = Math.min(0.8, ...covered.filter((value) => value !== null));
  const most = Math.max(0, m.coverage_limit ?? 0, ...covered);
  const ticks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, ...(most < 0.9962 ? [] : [1])];
  const yaxis = {
    tickvals: ticks.map(nines),
    ticktext: ticks.map((tick) => percent(tick, 1).replace(".0%", "%")),
    range: [nines(Math.max(0, 1 - 1.25 * (1 - lowest))), most < 0.9962 ? nines(0.9962) : nines(1) + 0.6],
    title: { text: "logarithmic in what is missing", font: { size: 11 } },
  };
  return { data: traces, layout: timeLayout(c, { levels, yaxis }) };
};

charts["chart-complementarity"] = (c) => {
  const m = data.milestones,
    e = data.metrics.epoch;
  const each = (name, key, colour, dash, told) =>
    measured(metric(key))
      ? [line(name, e, metric(key), colour, dash, { width: 1.3, opacity: 0.6, told, visible: "legendonly" })]
      : [];
  const traces = [
    joined("under equal noise", m.epoch, m.complementarity_score, c.mark, "circle", { width: 2 }, { told: plain }),
  ];
  if (measured(m.complementarity_by_errors)) {
    traces.push(
      joined("by errors alone", m.epoch, m.complementarity_by_errors, c.quiet, "x-thin-open", { dash: "dot" }, {
        told: plain,
      }),
    );
  }
  traces.push(
    joined("VAE-A's share of homes", m.epoch, m.share_a, c.a, "square-open", { dash: "dash", width: 1.4 }),
    ...each("score each epoch, coarse", "complementarity", c.mark, "solid", plain),
    ...each("share each epoch, coarse", "share_a", c.a, "dash", percents),
  );
  const [y0, y1] = data.expected.share;
  const share = area(c.plan, { xref: "paper", x0: 0, x1: 1, y0, y1 });
  const levels = Object.entries(data.expected.complementarity).map(([name, value]) =>
    level(c, value, `${name} ${fixed(value, 2)}`, "dot", "left"),
  );
  return { data: traces, layout: timeLayout(c, { levels, shapes: [share], yaxis: { range: SHARES } }) };
};

charts["chart-permeability"] = (c) => {
  const m = data.milestones,
    e = data.metrics.epoch,
    gate = metric("gate_open"),
    aside = { visible: "legendonly", told: plain },
    traces = [];
  if (e.length) {
    traces.push(
      line("ρ", e, metric("rho"), c.both, "solid", { shape: "vh", told: plain }),
      line("gate open", e, gate.map((open) => (open ? 0 : null)), c.amber, "solid", {
        width: 5,
        connectgaps: false,
        customdata: gate.map((open) => (open ? "yes" : "no")),
      }),
      line("temperature A", e, metric("temperature_a"), c.a, "dash", { width: 1.4, ...aside }),
      line("temperature B", e, metric("temperature_b"), c.b, "dash", { width: 1.4, ...aside }),
      line("β of A", e, metric("beta_a"), c.a, "dot", aside),
      line("β of B", e, metric("beta_b"), c.b, "dot", aside),
    );
  }
  traces.push(
    joined("correlation of codes, absolute", m.epoch, m.latent_correlation, c.mark, "triangle-up-open", { dash: "dot" }, {
      told: plain,
    }),
  );
  return { data: traces, layout: timeLayout(c, { yaxis: { range: SHARES } }) };
};

charts["chart-loss"] = (c) => {
  const e = data.metrics.epoch;
  const palette = [c.ink, c.a, c.b, c.a, c.b, c.both, c.mark, c.amber, c.a, c.b];
  const dashes = ["solid", "solid", "solid", "dash", "dash", "dashdot", "dashdot", "dashdot", "dot", "dot"];
  const traces = data.terms.map((term, at) => {
    const values = metric(`terms.${term}`);
    const name = term.replaceAll("_", " ").replace(/ ([ab])$/, (_, side) => ` ${side.toUpperCase()}`);
    return line(name, e, values, palette[at % 10], dashes[at % 10], {
      width: 1.5,
      told: plain,
      visible: at < 5 ? true : "legendonly",
    });
  });
  // The first epochs may be a hundred times the rest; they are a zoom away.
  const settled = traces
    .filter((trace) => trace.visible === true)
    .flatMap((trace) => trace.y.slice(Math.ceil(e.length / 20)))
    .filter((value) => value !== null);
  const low = Math.min(0, ...settled),
    high = Math.max(1, ...settled),
    pad = 0.05 * (high - low);
  return {
    data: traces,
    layout: timeLayout(c, { yaxis: { title: { text: "nats", font: { size: 11 } }, range: [low - pad, high + pad] } }),
  };
};

charts["chart-half-sigma"] = (c) => {
  const m = data.milestones;
  const one = (name, values, colour, dash, symbol) =>
    joined(name, m.epoch, values, colour, symbol, { width: 2, dash }, { told: plain });
  const levels = [level(c, data.ideal_axes.half, `ideal axes: ${fixed(data.ideal_axes.half, 3)}`)];
  return {
    data: [
      one("VAE-A", m.half_sigma_a, c.a, "dash", "circle-open"),
      one("VAE-B", m.half_sigma_b, c.b, "solid", "square-open"),
    ],
    layout: timeLayout(c, { levels, yaxis: { rangemode: "tozero", title: { text: "σ", standoff: 10, font: { size: 12 } } } }),
  };
};
