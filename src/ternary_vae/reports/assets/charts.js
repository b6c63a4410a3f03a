// Every chart but the map: how it looks with given colours, drawn again when they change.
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
const nines = (share) => (share === null ? null : -Math.log10(Math.max(1 - share, 1e-6)));
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
// Logarithmic in what is missing to 100%, as in the printed figure: both the start and the last tenths are seen.
for (const trace of traces) trace.y = trace.y.map(nines);
for (const one of levels) { one.shape.y0 = one.shape.y1 = one.label.y = nines(one.shape.y0); }
const lowest = Math.min(0.8, ...[...m.coverage, ...m.preserved].filter((value) => value !== null));
const ticks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];
const yaxis = {
  tickvals: ticks.map(nines), ticktext: ticks.map((tick) => percent(tick, 1).replace(".0%", "%")),
  range: [nines(Math.max(0, 1 - 1.25 * (1 - lowest))), nines(0.9962)],
  title: { text: "logarithmic in what is missing", font: { size: 11 } },
};
return { data: traces, layout: timeLayout(c, { levels, yaxis }) };
};

charts["chart-complementarity"] = (c) => {
const m = data.milestones, e = data.metrics.epoch;
const each = (name, key, colour, dash, texts) => measured(metric(key)) ? [line(name, e, metric(key), colour, dash, { opacity: 0.6, line: { color: colour, width: 1.3, dash }, customdata: texts(metric(key)), visible: "legendonly" })] : [];
const traces = [
  dots("under equal noise", m.epoch, m.complementarity, c.mark, "circle", { mode: "lines+markers", line: { color: c.mark, width: 2 }, customdata: plain(m.complementarity, 2) }),
];
if (measured(m.by_errors)) {
  traces.push(dots("by errors alone", m.epoch, m.by_errors, c.quiet, "x-thin-open", { mode: "lines+markers", line: { color: c.quiet, dash: "dot" }, customdata: plain(m.by_errors, 2) }));
}
traces.push(dots("VAE-A's share of homes", m.epoch, m.share_a, c.a, "square-open", { mode: "lines+markers", line: { color: c.a, dash: "dash", width: 1.4 }, customdata: percents(m.share_a) }));
traces.push(
  ...each("score each epoch, coarse", "complementarity", c.mark, "solid", (values) => plain(values, 2)),
  ...each("share each epoch, coarse", "share_a", c.a, "dash", percents),
);
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
// The first epochs may be a hundred times the rest; they are a zoom away.
const settled = traces.filter((trace) => trace.visible === true).flatMap((trace) => trace.y.slice(Math.ceil(e.length / 20))).filter((value) => value !== null);
const low = Math.min(0, ...settled), high = Math.max(1, ...settled), pad = 0.05 * (high - low);
return { data: traces, layout: timeLayout(c, { yaxis: { title: { text: "nats", font: { size: 11 } }, range: [low - pad, high + pad] } }) };
};

charts["chart-half-sigma"] = (c) => {
const m = data.milestones;
const one = (name, values, colour, dash, symbol) =>
  dots(name, m.epoch, values, colour, symbol, { mode: "lines+markers", line: { color: colour, width: 2, dash }, customdata: plain(values, 3) });
return {
  data: [one("VAE-A", m.half_sigma_a, c.a, "dash", "circle-open"), one("VAE-B", m.half_sigma_b, c.b, "solid", "square-open")],
  layout: timeLayout(c, { yaxis: { rangemode: "tozero", title: { text: "σ", standoff: 10, font: { size: 12 } } } }),
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
const last = data.curves.at(-1);
const reach = 1.08 * Math.max(...["a", "b"].flatMap((side) => last[side].sigma.filter((_, i) => i < 3 || last[side].rate[i] > 0.005)));
const layout = baseLayout(c, {
  xaxis: { title: { text: "latent noise σ", standoff: 6, font: { size: 11 } }, range: [-0.01 * reach, reach] },
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
