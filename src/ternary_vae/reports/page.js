"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
  const COUNT = 19683;

  // ---- words and numbers ------------------------------------------------------------------------------------

  // As in formats.py: 100% means exactly one.
  function percent(share, digits = 2) {
    if (share === null || share === undefined) return "not measured";
    if (share === 0 || share === 1) return `${100 * share}%`;
    const step = 10 ** -(digits + 2);
    if (share > 1 - step && share < 1) share = 1 - step;
    if (share > 0 && share < step) return `<${(100 * step).toFixed(digits)}%`;
    return `${(100 * share).toFixed(digits)}%`;
  }
  const grouped = (value) => value.toLocaleString("en-GB");
  const percents = (values) => values.map((value) => percent(value));
  const plain = (values, digits = 3) => values.map((value) => (value === null ? "not measured" : value.toFixed(digits)));

  // ---- theme ------------------------------------------------------------------------------------------------

  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  function colours() {
    const style = getComputedStyle(root);
    const names = ["surface", "line", "ink", "quiet", "grid", "phase", "a", "b", "both", "mark", "amber", "limit", "plan", "neither"];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  const isNarrow = () => innerWidth < 560;
  const isTouch = () => matchMedia("(pointer: coarse)").matches;

  // ---- charts -----------------------------------------------------------------------------------------------

  const charts = {}; // id → function(colours) returning {data, layout}; time charts share their zoom
  const timeCharts = [];

  function baseLayout(c, more = {}) {
    const axis = { gridcolor: c.grid, linecolor: c.line, zerolinecolor: c.grid, tickcolor: c.line, automargin: true };
    return {
      paper_bgcolor: c.surface, plot_bgcolor: c.surface, uirevision: "kept",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: c.quiet },
      margin: { l: 52, r: 14, t: isTouch() ? 50 : 22, b: 40 },
      legend: { orientation: "h", x: 0, xanchor: "left", y: -0.2, yanchor: "top", traceorder: "normal", font: { size: 12 } },
      hovermode: "x unified",
      hoverlabel: { bgcolor: c.surface, bordercolor: c.line, font: { color: c.ink, size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: c.quiet, activecolor: c.ink },
      dragmode: isTouch() ? false : "zoom",
      ...more,
      xaxis: { ...axis, ...more.xaxis },
      yaxis: { ...axis, ...more.yaxis },
    };
  }

  function phaseShapes(c) {
    return data.phases.map((phase) => ({
      type: "rect", layer: "below", xref: "x", yref: "paper", x0: phase.first, x1: phase.last, y0: 0, y1: 1,
      fillcolor: phase.number % 2 === 0 ? c.phase : "rgba(0,0,0,0)", line: { width: 0 },
    }));
  }
  function phaseLabels(c) {
    return data.phases.map((phase) => ({
      xref: "x", yref: "paper", x: (phase.first + phase.last) / 2, y: 1, yanchor: "bottom", showarrow: false,
      text: isNarrow() || phase.last - phase.first < 0.09 * data.epochs ? `${phase.number}` : `phase ${phase.number}`,
      font: { size: 11, color: c.quiet }, name: "phase",
    }));
  }
  function level(c, value, text, dash = "solid", side = "right") {
    return {
      shape: { type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value, line: { color: c.limit, width: dash === "solid" ? 1.4 : 1, dash } },
      label: { xref: "paper", x: side === "right" ? 1 : 0.01, xanchor: side, y: value, yanchor: "bottom", text, showarrow: false, font: { size: 11, color: c.ink } },
    };
  }
  function timeLayout(c, { yaxis = {}, levels = [], shapes = [], annotations = [] }) {
    return baseLayout(c, {
      xaxis: { range: [0, data.epochs * 1.01], title: { text: "completed epochs", standoff: 6, font: { size: 11 } }, zeroline: false },
      yaxis,
      shapes: [...phaseShapes(c), ...levels.map((one) => one.shape), ...shapes],
      annotations: [...phaseLabels(c), ...levels.map((one) => one.label), ...annotations],
    });
  }
  const shares = { tickformat: ".4~%", hoverformat: ".2%" };
  const line = (name, x, y, colour, dash = "solid", more = {}) => ({
    type: "scatter", mode: "lines", name, x, y, line: { color: colour, width: 2, dash }, customdata: percents(y),
    hovertemplate: "%{customdata}", ...more,
  });
  const dots = (name, x, y, colour, symbol, more = {}) => ({
    type: "scatter", mode: "markers", name, x, y, customdata: percents(y), hovertemplate: "%{customdata}",
    marker: { color: colour, symbol, size: 8, line: { width: 1.6, color: colour } }, ...more,
  });
  const metric = (name) => data.metrics[name] || data.metrics.epoch.map(() => null);
  const measured = (values) => values.some((value) => value !== null);

  charts["chart-reconstruction"] = (c) => {
    const m = data.milestones, e = data.metrics.epoch;
    const band = data.expected.band;
    const traces = [
      { type: "scatter", x: band.map((p) => p[0]), y: band.map((p) => p[1]), mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
      { type: "scatter", x: band.map((p) => p[0]), y: band.map((p) => p[2]), mode: "lines", line: { width: 0 }, fill: "tonexty",
        fillcolor: c.plan, hoverinfo: "skip", name: "plan's expectation of A" },
    ];
    if (e.length) {
      traces.push(
        line("ensemble", e, metric("exact_match_best_of_two"), c.both, "solid", { line: { color: c.both, width: 5 }, opacity: 0.45 }),
        line("VAE-B", e, metric("exact_match_b"), c.b),
        line("VAE-A", e, metric("exact_match_a"), c.a, "dash"),
        line("coupled A", e, metric("exact_match_coupled_a"), c.a, "dot", { visible: "legendonly" }),
        line("coupled B", e, metric("exact_match_coupled_b"), c.b, "dot", { visible: "legendonly" }),
      );
    }
    const own = (name, y, colour, symbol) => traces.push(dots(`${name}, benchmark`, m.epoch, y, colour, symbol, { showlegend: !e.length }));
    own("ensemble", m.ensemble, c.both, "diamond-open");
    own("VAE-B", m.vae_b, c.b, "square-open");
    own("VAE-A", m.vae_a, c.a, "circle-open");
    return { data: traces, layout: timeLayout(c, { yaxis: { ...shares, range: [-0.03, 1.05] } }) };
  };

  charts["chart-coverage"] = (c) => {
    const m = data.milestones, e = data.metrics.epoch, traces = [];
    if (e.length) {
      traces.push(line("each epoch, not mixed", e, metric("coverage"), c.both));
    }
    const banded = (name, mean, low, high, colour, dash, symbol) => {
      traces.push(
        { type: "scatter", x: m.epoch, y: low, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
        { type: "scatter", x: m.epoch, y: high, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: colour + "33", hoverinfo: "skip", showlegend: false },
        dots(name, m.epoch, mean, colour, symbol, {
          mode: "lines+markers", line: { color: colour, width: 1.5, dash },
          customdata: mean.map((value, i) => `${percent(value)} [${percent(low[i])}, ${percent(high[i])}]`),
        }),
      );
    };
    banded("ρ = 0.7, the plan's sum", m.coverage, m.coverage_low, m.coverage_high, c.b, "dash", "circle-open");
    banded("ρ = 0.7, prior preserved", m.preserved, m.preserved_low, m.preserved_high, c.a, "dot", "triangle-up-open");
    const levels = [level(c, data.expected.coverage, "plan: 90% by the end", "dot")];
    if (m.coverage_limit !== null) levels.push(level(c, m.coverage_limit, `limit ${percent(m.coverage_limit)}`));
    const seen = [...m.coverage, ...m.preserved].filter((value) => value !== null);
    const usual = metric("coverage").filter((value) => value !== null).sort((x, y) => x - y);
    const lowest = Math.min(...seen, 0.88, usual.length ? usual[Math.floor(usual.length / 10)] : 1);
    return { data: traces, layout: timeLayout(c, { levels, yaxis: { ...shares, range: [lowest - 0.01, 1 + 0.06 * (1.02 - lowest)] } }) };
  };

  charts["chart-complementarity"] = (c) => {
    const m = data.milestones, e = data.metrics.epoch;
    const each = (name, key, colour, dash, texts) => measured(metric(key)) ? [line(name, e, metric(key), colour, dash, { opacity: 0.55, line: { color: colour, width: 1.3, dash }, customdata: texts(metric(key)), showlegend: false })] : [];
    const traces = [
      ...each("score each epoch", "complementarity", c.mark, "solid", (values) => plain(values, 2)),
      ...each("VAE-A's share each epoch", "share_a", c.a, "dash", percents),
      dots("under equal noise", m.epoch, m.complementarity, c.mark, "circle", { mode: "lines+markers", line: { color: c.mark, width: 2 }, customdata: plain(m.complementarity, 2) }),
    ];
    if (measured(m.by_errors)) {
      traces.push(dots("by errors alone", m.epoch, m.by_errors, c.quiet, "x-thin-open", { mode: "lines+markers", line: { color: c.quiet, dash: "dot" }, customdata: plain(m.by_errors, 2) }));
    }
    traces.push(dots("VAE-A's share of homes", m.epoch, m.share_a, c.a, "square-open", { mode: "lines+markers", line: { color: c.a, dash: "dash", width: 1.4 }, customdata: percents(m.share_a) }));
    const share = { type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, y0: data.expected.share[0], y1: data.expected.share[1], fillcolor: c.plan, line: { width: 0 } };
    const levels = [[0.4, "minimum 0.40"], [0.6, "target 0.60"], [0.7, "stretch 0.70"]].map(([value, text]) => level(c, value, text, "dot", "left"));
    return { data: traces, layout: timeLayout(c, { levels, shapes: [share], yaxis: { range: [-0.03, 1.05] } }) };
  };

  charts["chart-permeability"] = (c) => {
    const m = data.milestones, e = data.metrics.epoch, traces = [];
    const number = (values) => ({ customdata: plain(values, 3) });
    if (e.length) {
      traces.push(
        line("ρ", e, metric("rho"), c.both, "solid", { line: { color: c.both, width: 2, shape: "vh" }, ...number(metric("rho")) }),
        line("gate open", e, metric("gate_open").map((open) => (open ? 0 : null)), c.amber, "solid", { line: { color: c.amber, width: 5 }, customdata: metric("gate_open").map((open) => (open ? "yes" : "no")) }),
        line("temperature A", e, metric("temperature_a"), c.a, "dash", { line: { color: c.a, width: 1.4, dash: "dash" }, visible: "legendonly", ...number(metric("temperature_a")) }),
        line("temperature B", e, metric("temperature_b"), c.b, "dash", { line: { color: c.b, width: 1.4, dash: "dash" }, visible: "legendonly", ...number(metric("temperature_b")) }),
        line("β of A", e, metric("beta_a"), c.a, "dot", { visible: "legendonly", ...number(metric("beta_a")) }),
        line("β of B", e, metric("beta_b"), c.b, "dot", { visible: "legendonly", ...number(metric("beta_b")) }),
      );
    }
    traces.push(dots("correlation of codes, absolute", m.epoch, m.correlation, c.mark, "triangle-up-open", { mode: "lines+markers", line: { color: c.mark, dash: "dot" }, ...number(m.correlation) }));
    return { data: traces, layout: timeLayout(c, { yaxis: { range: [-0.03, 1.05] } }) };
  };

  charts["chart-loss"] = (c) => {
    const e = data.metrics.epoch;
    const palette = [c.ink, c.a, c.b, c.a, c.b, c.both, c.mark, c.amber, c.a, c.b];
    const dashes = ["solid", "solid", "solid", "dash", "dash", "dashdot", "dashdot", "dashdot", "dot", "dot"];
    const traces = data.terms.filter((term) => measured(metric(`terms.${term}`))).map((term) => {
      const at = data.terms.indexOf(term), values = metric(`terms.${term}`);
      return line(term.replaceAll("_", " ").replace(/ ([ab])$/, (_, side) => ` ${side.toUpperCase()}`), e, values,
        palette[at % 10], dashes[at % 10], { line: { color: palette[at % 10], dash: dashes[at % 10], width: 1.5 }, customdata: plain(values, 4), visible: at < 5 ? true : "legendonly" });
    });
    return { data: traces, layout: timeLayout(c, { yaxis: { title: { text: "nats", font: { size: 11 } } } }) };
  };

  charts["chart-half-sigma"] = (c) => {
    const m = data.milestones;
    const one = (name, values, colour, dash, symbol) =>
      dots(name, m.epoch, values, colour, symbol, { mode: "lines+markers", line: { color: colour, width: 2, dash }, customdata: plain(values, 3) });
    return {
      data: [one("VAE-A", m.half_sigma_a, c.a, "dash", "circle-open"), one("VAE-B", m.half_sigma_b, c.b, "solid", "square-open")],
      layout: timeLayout(c, { yaxis: { rangemode: "tozero", title: { text: "σ", font: { size: 12 } } } }),
    };
  };

  charts["chart-statenet"] = (c) => {
    const e = data.metrics.epoch;
    const palette = { learning_rate: [c.ink, "solid"], lambda1: [c.a, "dash"], lambda2: [c.b, "dash"], lambda3: [c.both, "dashdot"], rho: [c.mark, "dot"] };
    const names = { learning_rate: "Δ learning rate", lambda1: "Δ λ1", lambda2: "Δ λ2", lambda3: "Δ λ3", rho: "Δ ρ" };
    const traces = Object.keys(names).filter((name) => measured(metric(`statenet.${name}`))).map((name) => {
      const values = metric(`statenet.${name}`);
      return line(names[name], e, values, palette[name][0], palette[name][1], { line: { color: palette[name][0], dash: palette[name][1], width: 1.6 }, customdata: plain(values, 3) });
    });
    return withEvents(c, traces, { title: { text: "correction", font: { size: 11 } }, range: [-1.12, 1.12] }, 1.04);
  };

  charts["chart-lambda"] = (c) => {
    const e = data.metrics.epoch;
    const one = (name, key, colour, dash) => line(name, e, metric(key), colour, dash, { customdata: plain(metric(key), 3) });
    const traces = [one("λ1, of A", "lambda1", c.a, "dash"), one("λ2, of B", "lambda2", c.b, "solid"), one("λ3, alignment", "lambda3", c.both, "dashdot"), one("balance, + favours A", "balance", c.mark, "dot")];
    return withEvents(c, traces.filter((trace) => measured(trace.y)), {}, null);
  };

  const EVENT_COLOURS = { guard: "a", warning: "amber", interrupted: "amber", resumed: "b", finished: "both", milestone: "quiet" };
  function withEvents(c, traces, yaxis, height) {
    const told = data.events.filter((event) => event.kind !== "milestone");
    const shapes = told.map((event) => ({
      type: "line", xref: "x", yref: "paper", x0: event.epoch, x1: event.epoch, y0: 0, y1: 1,
      line: { color: c[EVENT_COLOURS[event.kind] || "quiet"], width: 1.5, dash: event.kind === "guard" ? "solid" : "dot" },
    }));
    if (height !== null && told.length) {
      traces.push({
        type: "scatter", mode: "markers", name: "event", x: told.map((event) => event.epoch), y: told.map(() => height), meta: "events",
        marker: { size: 10, color: told.map((event) => c[EVENT_COLOURS[event.kind] || "quiet"]), symbol: told.map((event) => (event.kind === "guard" ? "triangle-down" : "diamond")) },
        customdata: told.map((event) => escaped(`${event.kind}: ${event.text}`)), hovertemplate: "%{customdata}",
      });
    }
    return { data: traces, layout: timeLayout(c, { shapes, yaxis }) };
  }
  // Plotly reads a few tags in its texts; what a run wrote is text.
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  charts["chart-curve"] = (c) => {
    const traces = [], shapes = [], annotations = [];
    data.curves.forEach((curve, at) => {
      const last = at === data.curves.length - 1;
      for (const [side, name, colour, dash] of [["a", "A", c.a, "dash"], ["b", "B", c.b, "solid"]]) {
        const { sigma, rate, half } = curve[side];
        traces.push(line(`VAE-${name}, epoch ${curve.epoch}`, sigma, rate, colour, dash, {
          mode: last ? "lines+markers" : "lines", opacity: last ? 1 : 0.25 + 0.5 * (at / data.curves.length),
          marker: { symbol: side === "a" ? "circle-open" : "square-open", size: 6 }, line: { color: colour, dash, width: last ? 2 : 1.2 },
          visible: last ? true : "legendonly", showlegend: last || at % Math.ceil(data.curves.length / 4) === 0,
        }));
        if (last && half !== null) {
          shapes.push({ type: "line", x0: half, x1: half, yref: "y", y0: 0, y1: 0.5, line: { color: colour, dash: "dot", width: 1.6 } });
          const other = curve[side === "a" ? "b" : "a"].half, leftward = other !== null && (half < other || (half === other && side === "a"));
          annotations.push({ x: half, y: 0.06, text: leftward ? `${name}: σ½ = ${half.toFixed(3)} ` : ` ${name}: σ½ = ${half.toFixed(3)}`, showarrow: false, xanchor: leftward ? "right" : "left", font: { size: 12, color: colour } });
        }
      }
    });
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0.5, y1: 0.5, line: { color: c.limit, width: 1, dash: "dot" } });
    const layout = baseLayout(c, {
      xaxis: { title: { text: "latent noise σ", standoff: 6, font: { size: 11 } }, rangemode: "tozero" },
      yaxis: { ...shares, range: [-0.02, 1.05] }, shapes, annotations,
    });
    return { data: traces, layout };
  };

  function drawsLayout(c, yaxis) {
    const every = isNarrow() ? [1e3, 1e4, 1e5, 1e6] : [1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6];
    const tickvals = every.filter((draws) => draws <= data.draws.reach);
    return baseLayout(c, {
      xaxis: { type: "log", title: { text: "draws", standoff: 6, font: { size: 11 } }, tickvals, ticktext: tickvals.map(grouped), tickangle: 0 },
      yaxis,
    });
  }
  const drawsHover = (x, y) => x.map((draws, i) => `${percent(y[i])} of ${grouped(draws)} draws`);
  charts["chart-draws"] = (c) => {
    const traces = [line("limit, uniform model", data.draws.limit.draws, data.draws.limit.rate, c.limit, "solid", { hoverinfo: "skip", hovertemplate: undefined })];
    for (const [key, name, colour, dash, symbol] of [["a", "VAE-A", c.a, "dash", "circle-open"], ["b", "VAE-B", c.b, "solid", "square-open"], ["both", "both, ρ = 0.7", c.both, "dot", "diamond-open"]]) {
      const { draws, rate } = data.draws[key];
      traces.push(dots(name, draws, rate, colour, symbol, { mode: "lines+markers", line: { color: colour, dash, width: 1.6 }, customdata: drawsHover(draws, rate) }));
    }
    return { data: traces, layout: drawsLayout(c, { ...shares, range: [0, 1.03] }) };
  };
  charts["chart-gap"] = (c) => {
    const traces = [["a", "VAE-A", c.a, "dash", "circle-open"], ["b", "VAE-B", c.b, "solid", "square-open"], ["both", "both, ρ = 0.7", c.both, "dot", "diamond-open"]].map(([key, name, colour, dash, symbol]) => {
      const { draws, rate, limit } = data.draws[key];
      const gap = rate.map((value, i) => 100 * (limit[i] - value));
      return dots(name, draws, gap, colour, symbol, { mode: "lines+markers", line: { color: colour, dash, width: 1.6 }, customdata: gap.map((value) => `${value.toFixed(2)} points below the limit`) });
    });
    return { data: traces, layout: drawsLayout(c, { title: { text: "points below the limit", font: { size: 11 } }, rangemode: "tozero" }) };
  };

  const FLAT = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"];
  const SPACE = ["orbitRotation", "pan3d", "zoom3d", "resetCameraDefault3d"];
  const config = (buttons = FLAT) => ({ responsive: true, displaylogo: false, displayModeBar: isTouch() ? true : "hover",
    plotlyServerURL: "", modeBarButtons: [buttons], doubleClick: "reset" });

  async function draw(id) {
    const target = document.getElementById(id);
    if (!target) return;
    const { data: traces, layout } = charts[id](colours());
    const first = !target.classList.contains("js-plotly-plot");
    if (first) target.replaceChildren();
    const entries = traces.filter((trace) => trace.showlegend !== false).length;
    target.style.height = `${isNarrow() ? 280 + 20 * entries : Math.max(390, 300 + 19 * entries)}px`; // room for the legend
    await Plotly.react(target, traces, layout, config());
    if (first && target.dataset.axis === "time") shareZoom(target);
  }
  let following = false;
  function shareZoom(target) {
    timeCharts.push(target);
    target.on("plotly_relayout", async (change) => {
      if (following || !Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
      following = true;
      const range = [...target.layout.xaxis.range];
      await Promise.all(timeCharts.filter((other) => other !== target).map((other) => Plotly.relayout(other, { "xaxis.range": range })));
      following = false;
    });
  }

  // ---- the map ----------------------------------------------------------------------------------------------

  const map = data.map && unpackMap(data.map);
  let mapView = null; // {dimensions} of what is drawn

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }
  function shorts(text) { // little-endian, whatever the machine
    const raw = bytes(text), view = new DataView(raw.buffer), out = new Array(raw.length / 2);
    for (let i = 0; i < out.length; i++) out[i] = view.getInt16(2 * i, true);
    return out;
  }
  function unpackMap(packed) {
    const side = (one) => ({
      axes: one.positions.map((text, axis) => shorts(text).map((value) => value * one.scales[axis])),
      variance: one.variance, errors: bytes(one.errors), neighbour: bytes(one.neighbour),
    });
    const balance = new Array(COUNT);
    for (let i = 0; i < COUNT; i++) balance[i] = table(i).reduce((sum, value) => sum + value, 0);
    return { a: side(packed.a), b: side(packed.b), home: bytes(packed.home), balance, gates: packed.gates };
  }
  function table(index) {
    const values = new Array(9);
    for (let j = 0; j < 9; j++) { values[j] = (index % 3) - 1; index = Math.floor(index / 3); }
    return values;
  }
  const SIGNS = { "-1": "−", 0: "0", 1: "+" };
  const HOMES = ["VAE-A", "VAE-B", "neither"];
  function operationText(index, side) {
    const t = table(index).map((value) => SIGNS[value]);
    const name = map.gates[index] ? `<b>${map.gates[index]}</b><br>` : "";
    const row = (label, at) => `  ${label}    ${t[at]}  ${t[at + 1]}  ${t[at + 2]}`;
    return `${name}operation ${grouped(index)}<br>  a╲b  −  0  +<br>${row("−", 0)}<br>${row("0", 3)}<br>${row("+", 6)}<br>` +
      `home ${HOMES[map.home[index]]}<br>wrong entries ${map[side].errors[index]}<br>neighbour at ${map[side].neighbour[index]}`;
  }

  // Every colouring is a list of classes, so that the legend counts them and a click hides one.
  function classes(colouring, side, c) {
    if (colouring === "home") {
      return { of: map.home, names: ["VAE-A", "VAE-B", "neither"], colours: [c.a, c.b, c.neither], caption: "Home: the VAE with fewer wrong entries; ties by who is exact more often under the same latent noise." };
    }
    if (colouring === "errors") {
      const top = Math.min(3, Math.max(...map[side].errors));
      return { of: map[side].errors.map((value) => Math.min(value, 3)), names: ["exact", "1 wrong entry", "2 wrong entries", top === 3 ? "3 or more" : ""], colours: [c.b, c.amber, c.a, c.mark], caption: "Entries that this VAE decodes wrongly from its own posterior mean, of nine." };
    }
    return { of: map[side].neighbour.map((value) => Math.min(value, 3) - 1), names: ["1 entry apart", "2 entries apart", "3 or more"], colours: [c.both, c.amber, c.a], caption: "Truth-table entries in which an operation differs from its nearest neighbour in this latent space." };
  }

  // One trace in a fixed random order: in index order, or one trace a class, the last drawn would hide the rest.
  const ORDER = (() => {
    const order = Array.from({ length: COUNT }, (_, i) => i);
    let state = 20251124;
    for (let i = COUNT - 1; i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = state % (i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  })();
  const hidden = new Set(); // names of classes that a click on the legend has hidden

  function mapTraces(c, side, colouring, dimensions) {
    const axes = map[side].axes;
    const type = dimensions === 3 ? "scatter3d" : hasWebGL() ? "scattergl" : "scatter";
    const trace = (name, members, marker, more = {}) => ({
      type, mode: "markers", name, x: members.map((i) => axes[0][i]), y: members.map((i) => axes[1][i]),
      ...(dimensions === 3 ? { z: members.map((i) => axes[2][i]) } : {}),
      customdata: members, text: members.map((i) => operationText(i, side)), hovertemplate: "%{text}<extra></extra>",
      marker: { size: dimensions === 3 ? 2.4 : 4.5, opacity: dimensions === 3 ? 1 : 0.8, line: { width: 0 }, ...marker }, ...more,
    });
    const traces = [];
    let caption;
    if (colouring === "balance") {
      caption = "Sum of the nine answers: −9 answers false everywhere, +9 true everywhere.";
      traces.push(trace("operations", ORDER, {
        color: ORDER.map((i) => map.balance[i]), cmin: -9, cmax: 9, colorscale: [[0, c.a], [0.5, c.neither], [1, c.b]],
        colorbar: { thickness: 10, outlinewidth: 0, tickvals: [-9, 0, 9], x: 1, xpad: 4, len: 0.6 },
      }, { showlegend: false, meta: "operations" }));
    } else {
      const kind = classes(colouring, side, c);
      caption = kind.caption;
      const shown = ORDER.filter((i) => !hidden.has(kind.names[kind.of[i]]));
      traces.push(trace("operations", shown, { color: shown.map((i) => kind.colours[kind.of[i]]) }, { showlegend: false, meta: "operations" }));
      kind.names.forEach((name, at) => {
        const count = kind.of.reduce((sum, value) => sum + (value === at), 0);
        if (count) {
          traces.push({ ...trace(`${name} (${grouped(count)})`, [], { color: kind.colours[at], size: 8 }), x: [null], y: [null], z: dimensions === 3 ? [null] : undefined,
            meta: name, visible: hidden.has(name) ? "legendonly" : true });
        }
      });
    }
    const gates = Object.keys(map.gates).map(Number);
    traces.push(trace("named gates", gates, { size: dimensions === 3 ? 5 : 9, opacity: 1, color: c.ink, symbol: "diamond-open", line: { width: 1.5, color: c.ink } },
      { meta: "gates", visible: hidden.has("gates") ? "legendonly" : true }));
    return { traces, caption };
  }

  let webgl;
  function hasWebGL() {
    if (webgl === undefined) {
      try {
        const context = document.createElement("canvas").getContext("webgl");
        webgl = Boolean(context);
        context?.getExtension("WEBGL_lose_context")?.loseContext();
      } catch { webgl = false; }
    }
    return webgl;
  }

  async function drawMap() {
    const target = document.getElementById("map-plot");
    if (!map || !target) return;
    const side = document.getElementById("map-vae").value;
    const colouring = document.getElementById("map-colour").value;
    const chooser = document.getElementById("map-dimensions");
    const status = document.getElementById("map-status");
    status.textContent = "";
    if (chooser.value === "3" && !hasWebGL()) {
      chooser.value = "2";
      status.textContent = "3-D needs WebGL, which this browser does not offer here.";
    }
    const dimensions = Number(chooser.value);
    const c = colours();
    const { traces, caption } = mapTraces(c, side, colouring, dimensions);
    const share = map[side].variance;
    const axisTitle = (at) => ({ text: `component ${at + 1} (${(100 * share[at]).toFixed(0)}% of variance)`, font: { size: 11 } });
    const hoverlabel = { bgcolor: c.surface, bordercolor: c.line, align: "left", font: { family: MONOSPACE, size: 13, color: c.ink } };
    const layout = baseLayout(c, { hovermode: "closest", hoverlabel, dragmode: isTouch() ? false : "pan", uirevision: `${side}${dimensions}`,
      xaxis: { title: axisTitle(0), zeroline: false }, yaxis: { title: axisTitle(1), zeroline: false, scaleanchor: "x" } });
    layout.legend = { ...layout.legend, itemsizing: "constant", y: dimensions === 3 ? 0 : isNarrow() ? -0.2 : -0.12 };
    if (dimensions === 3) {
      const axis = (at) => ({ title: { text: `component ${at + 1}`, font: { size: 11 } }, gridcolor: c.grid, zerolinecolor: c.grid, backgroundcolor: c.surface, color: c.quiet, showspikes: false });
      Object.assign(layout, { scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), dragmode: "orbit", aspectmode: "data", camera: { eye: { x: 1.3, y: 1.3, z: 0.9 } } }, margin: { l: 0, r: 0, t: 0, b: 0 } });
      delete layout.xaxis; delete layout.yaxis;
    }
    if (mapView && mapView.dimensions !== dimensions) Plotly.purge(target);
    if (!target.classList.contains("js-plotly-plot")) target.replaceChildren();
    await Plotly.react(target, traces, layout, { ...config(dimensions === 3 ? SPACE : FLAT), scrollZoom: !isTouch() });
    if (!mapView || mapView.dimensions !== dimensions) {
      target.on("plotly_click", ({ points }) => { drawing = drawing.then(() => choose(points[0].customdata)); });
      target.on("plotly_legendclick", ({ curveNumber }) => {
        const name = target.data[curveNumber].meta;
        if (!hidden.delete(name)) hidden.add(name);
        redrawMap();
        return false;
      });
      target.on("plotly_legenddoubleclick", () => false);
    }
    mapView = { dimensions };
    document.getElementById("map-caption").textContent =
      `${caption} Posterior means of VAE-${side.toUpperCase()} projected on their first ${dimensions} principal components. Click a point to keep it.`;
    if (chosen !== null) await ring();
  }

  let chosen = null;
  async function choose(index) {
    chosen = index;
    const place = document.getElementById("operation");
    const make = (tag, text, attributes = {}) => {
      const element = document.createElement(tag);
      if (text !== null) element.textContent = text;
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      return element;
    };
    const t = table(index), grid = make("table", null, { class: "truth", "aria-label": "Truth table: rows a, columns b" });
    const head = make("tr", null);
    head.append(make("th", "a╲b"), ...[-1, 0, 1].map((value) => make("th", SIGNS[value], { scope: "col" })));
    const thead = make("thead", null), body = make("tbody", null);
    thead.append(head);
    for (const a of [0, 1, 2]) {
      const row = make("tr", null);
      row.append(make("th", SIGNS[a - 1], { scope: "row" }), ...[0, 1, 2].map((b) => make("td", SIGNS[t[3 * a + b]], { "data-value": t[3 * a + b] })));
      body.append(row);
    }
    grid.append(thead, body);
    const facts = make("dl", null);
    const fact = (name, value) => facts.append(make("dt", name), make("dd", String(value)));
    fact("index", grouped(index));
    fact("home", HOMES[map.home[index]]);
    fact("wrong entries", `A ${map.a.errors[index]}, B ${map.b.errors[index]}`);
    fact("neighbour at", `A ${map.a.neighbour[index]}, B ${map.b.neighbour[index]}`);
    place.replaceChildren(make("h3", map.gates[index] || `Operation ${grouped(index)}`), grid, facts);
    await ring();
  }
  async function ring() {
    const target = document.getElementById("map-plot"), c = colours();
    const side = map[document.getElementById("map-vae").value], flat = mapView.dimensions === 2;
    const old = target.data.findIndex((trace) => trace.meta === "chosen");
    if (old >= 0) await Plotly.deleteTraces(target, old);
    await Plotly.addTraces(target, {
      type: flat ? (hasWebGL() ? "scattergl" : "scatter") : "scatter3d", mode: "markers", meta: "chosen", showlegend: false, hoverinfo: "skip",
      x: [side.axes[0][chosen]], y: [side.axes[1][chosen]], ...(flat ? {} : { z: [side.axes[2][chosen]] }),
      marker: { size: flat ? 18 : 9, symbol: "circle-open", color: c.ink, line: { width: 3, color: c.ink } },
    });
  }
  function find(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return null;
    const compact = wanted.replace(/[,\s ]/g, "");
    if (/^\d+$/.test(compact) && Number(compact) < COUNT) return Number(compact);
    const names = Object.entries(map.gates);
    const hit = names.find(([, name]) => name.toLowerCase() === wanted) || names.find(([, name]) => name.toLowerCase().startsWith(wanted));
    return hit ? Number(hit[0]) : null;
  }

  // ---- together ---------------------------------------------------------------------------------------------

  const pause = () => new Promise((resolve) => setTimeout(resolve, 0));
  let drawing = Promise.resolve();
  function drawAll() {
    drawing = drawing.then(async () => {
      delete root.dataset.ready;
      for (const id of Object.keys(charts)) { await draw(id); await pause(); }
      await drawMap();
      root.dataset.ready = "true";
    }).catch((failure) => { root.dataset.failed = String(failure); console.error(failure); });
    return drawing;
  }

  function redrawMap() {
    delete root.dataset.ready;
    drawing = drawing.then(drawMap).then(() => { root.dataset.ready = "true"; });
  }

  const button = document.getElementById("theme");
  function label() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  }
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); drawAll(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!root.dataset.theme) { label(); drawAll(); } });

  let wasNarrow = isNarrow();
  addEventListener("resize", () => { if (wasNarrow !== isNarrow()) { wasNarrow = isNarrow(); drawAll(); } });

  // Paper is white, and narrower than a screen.
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    for (const id of Object.keys(charts)) draw(id).then(() => { const one = document.getElementById(id); if (one) Plotly.relayout(one, { width: 660 }); });
    if (mapView?.dimensions === 2) drawMap().then(() => Plotly.relayout("map-plot", { width: 660 }));
  });
  addEventListener("afterprint", () => {
    if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before;
    for (const one of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(one, { width: undefined });
    drawAll();
  });

  if (map) {
    for (const id of ["map-vae", "map-colour", "map-dimensions"]) {
      document.getElementById(id).addEventListener("change", redrawMap);
    }
    const names = document.getElementById("gates");
    for (const name of Object.values(map.gates)) { const option = document.createElement("option"); option.value = name; names.append(option); }
    document.getElementById("find").addEventListener("change", (change) => {
      const index = find(change.target.value);
      document.getElementById("map-status").textContent = index === null && change.target.value ? "No such operation: give 0 to 19,682 or a gate's name." : "";
      if (index !== null) drawing = drawing.then(() => choose(index));
    });
  }
  label();
  drawAll().then(() => { if (map) return choose(Number(Object.entries(map.gates).find(([, name]) => name.startsWith("minimum"))?.[0] ?? 0)); });
})();
