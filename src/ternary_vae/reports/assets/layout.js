// What every chart is made of: axes, phases, levels, lines and marks; drawing, and zooming together.
// id → function(colours) returning {data, layout, height unless usual, onClick if any}; time charts share their zoom
const charts = {};
const timeCharts = [];

function baseLayout(c, more = {}) {
  const axis = { gridcolor: c.grid, linecolor: c.line, zerolinecolor: c.grid, tickcolor: c.line, automargin: true };
  return {
    paper_bgcolor: c.surface,
    plot_bgcolor: c.surface,
    uirevision: "kept",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: c.quiet },
    margin: { l: 52, r: 14, t: isTouch() ? 50 : 22, b: 40 },
    legend: {
      orientation: "h",
      x: 0,
      xanchor: "left",
      y: -0.2,
      yanchor: "top",
      traceorder: "normal",
      font: { size: 12 },
    },
    hovermode: "x unified",
    hoverlabel: { bgcolor: c.surface, bordercolor: c.line, font: { color: c.ink, size: isNarrow() ? 10 : 12 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: c.quiet, activecolor: c.ink },
    dragmode: isTouch() ? false : "zoom",
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

// A filled rectangle below what is drawn.
const area = (fillcolor, place) => ({ type: "rect", layer: "below", fillcolor, line: { width: 0 }, ...place });
function phaseShapes(c) {
  return data.phases.map(({ number, first, last }) => {
    const whole = { xref: "x", yref: "paper", x0: first, x1: last, y0: 0, y1: 1 };
    return area(number % 2 === 0 ? c.phase : "rgba(0,0,0,0)", whole);
  });
}
function phaseLabels(c) {
  return data.phases.map((phase) => ({
    xref: "x",
    yref: "paper",
    x: (phase.first + phase.last) / 2,
    y: 1,
    yanchor: "bottom",
    showarrow: false,
    text: isNarrow() || phase.last - phase.first < 0.09 * data.epochs ? `${phase.number}` : `phase ${phase.number}`,
    font: { size: 11, color: c.quiet },
  }));
}
function level(c, value, text, dash = "solid", side = "right") {
  return {
    shape: {
      type: "line",
      xref: "paper",
      x0: 0,
      x1: 1,
      y0: value,
      y1: value,
      line: { color: c.limit, width: dash === "solid" ? 1.4 : 1, dash },
    },
    label: {
      xref: "paper",
      x: side === "right" ? 1 : 0.01,
      xanchor: side,
      y: value,
      yanchor: "bottom",
      text,
      showarrow: false,
      font: { size: 11, color: c.ink },
    },
  };
}
const titled = (text) => ({ title: { text, standoff: 6, font: { size: 11 } } });
function timeLayout(c, { yaxis = {}, levels = [], shapes = [] }) {
  return baseLayout(c, {
    xaxis: { ...titled("completed epochs"), range: [0, data.epochs * 1.01], zeroline: false },
    yaxis,
    shapes: [...phaseShapes(c), ...levels.map((one) => one.shape), ...shapes],
    annotations: [...phaseLabels(c), ...levels.map((one) => one.label)],
  });
}
// Shares and scores lie between 0 and 1. No axis of them goes on, but for a margin in which a line is seen.
const SHARES = [-0.03, 1.03];
const bounded = { autorangeoptions: { clipmin: SHARES[0], clipmax: SHARES[1] } };
const shares = { tickformat: ".4~%" };
// `told` is how heights are written: as percentages unless it is `plain`.
const line = (name, x, y, colour, dash = "solid", { width = 2, shape, told = percents, ...more } = {}) => ({
  type: "scatter",
  mode: "lines",
  name,
  x,
  y,
  line: { color: colour, width, dash, shape },
  customdata: told(y),
  hovertemplate: "%{customdata}",
  connectgaps: true,
  ...more,
});
const dots = (name, x, y, colour, symbol, { told = percents, ...more } = {}) => ({
  type: "scatter",
  mode: "markers",
  name,
  x,
  y,
  customdata: told(y),
  hovertemplate: "%{customdata}",
  marker: { color: colour, symbol, size: 8, line: { width: 1.6, color: colour } },
  ...more,
});
// Marks that a line joins.
const joined = (name, x, y, colour, symbol, stroke, more = {}) =>
  dots(name, x, y, colour, symbol, { mode: "lines+markers", line: { color: colour, ...stroke }, ...more });
function filledBand(x, low, high, fillcolor, more = {}) {
  const edge = { type: "scatter", mode: "lines", x, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [
    { ...edge, y: low, ...more },
    { ...edge, y: high, fill: "tonexty", fillcolor, ...more },
  ];
}
const nines = (share) => (share === null ? null : -Math.log10(Math.max(1 - share, 1e-6)));
const metric = (name) => data.metrics[name] || data.metrics.epoch.map(() => null);
const measured = (values) => values.some((value) => value !== null);

const FLAT = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"];
const SPATIAL = ["orbitRotation", "pan3d", "zoom3d", "resetCameraDefault3d"];
const config = (buttons = FLAT) => ({
  responsive: true,
  displaylogo: false,
  displayModeBar: isTouch() ? true : "hover",
  plotlyServerURL: "",
  modeBarButtons: [buttons],
  doubleClick: "reset",
});

async function draw(id) {
  const target = document.getElementById(id);
  if (!target) return;
  const { data: traces, layout, height, onClick } = charts[id](colours());
  const first = !target.classList.contains("js-plotly-plot");
  if (first) target.replaceChildren();
  const entries = traces.filter((trace) => trace.showlegend !== false).length;
  const room = isNarrow() ? 280 + 20 * entries : Math.max(390, 300 + 19 * entries); // for the legend
  target.style.height = `${height ?? room}px`;
  await Plotly.react(target, traces, layout, config());
  if (first && target.dataset.axis === "time") shareZoom(target);
  if (first && onClick) target.on("plotly_click", onClick);
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 0));
let drawing = Promise.resolve();
// Draws charts, one after another, so that the page answers in between, and what else `finish` draws.
function drawCharts(finish, ids = Object.keys(charts)) {
  delete root.dataset.ready;
  drawing = drawing
    .then(async () => {
      delete root.dataset.ready; // again: what was drawn before this has set it
      for (const id of ids) {
        await draw(id);
        await pause();
      }
      await finish?.();
      root.dataset.ready = "true";
    })
    .catch(sayFailure);
  return drawing;
}
// What fails is said, and what is asked for next is drawn all the same.
function sayFailure(failure) {
  root.dataset.failed = String(failure);
  console.error(failure);
}

let following = false;
function shareZoom(target) {
  timeCharts.push(target);
  target.on("plotly_relayout", async (change) => {
    if (following || !Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
    following = true;
    const range = [...target.layout.xaxis.range];
    await Promise.all(
      timeCharts.filter((other) => other !== target).map((other) => Plotly.relayout(other, { "xaxis.range": range })),
    );
    following = false;
  });
}
