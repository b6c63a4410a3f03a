// StateNet, weights and events over completed epochs.
charts["chart-statenet"] = (c) => {
  const e = data.metrics.epoch;
  const looks = {
    learning_rate: ["Δ learning rate", c.ink, "solid"],
    lambda1: ["Δ λ1", c.a, "dash"],
    lambda2: ["Δ λ2", c.b, "dash"],
    lambda3: ["Δ λ3", c.both, "dashdot"],
    rho: ["Δ ρ", c.mark, "dot"],
  };
  const traces = Object.entries(looks).flatMap(([key, [name, colour, dash]]) => {
    const values = metric(`statenet.${key}`);
    return measured(values) ? [line(name, e, values, colour, dash, { width: 1.6, told: plain })] : [];
  });
  return withEvents(c, traces, { title: { text: "correction", font: { size: 11 } }, range: [-1.12, 1.12] }, 1.04);
};

charts["chart-lambda"] = (c) => {
  const e = data.metrics.epoch;
  const one = (name, key, colour, dash) => line(name, e, metric(key), colour, dash, { told: plain });
  const traces = [
    one("λ1, of A", "lambda1", c.a, "dash"),
    one("λ2, of B", "lambda2", c.b, "solid"),
    one("λ3, alignment", "lambda3", c.both, "dashdot"),
    one("balance, + favours A", "balance", c.mark, "dot"),
  ];
  return withEvents(
    c,
    traces.filter((trace) => measured(trace.y)),
    {},
    null,
  );
};

const EVENT_COLOURS = { guard: "a", warning: "amber", interrupted: "amber", resumed: "b" };
function withEvents(c, traces, yaxis, height) {
  const told = data.events.filter((event) => event.kind !== "milestone");
  const shapes = told.map((event) => ({
    type: "line",
    xref: "x",
    yref: "paper",
    x0: event.epoch,
    x1: event.epoch,
    y0: 0,
    y1: 1,
    line: {
      color: c[EVENT_COLOURS[event.kind] || "quiet"],
      width: 1.5,
      dash: event.kind === "guard" ? "solid" : "dot",
    },
  }));
  if (height !== null && told.length) {
    traces.push({
      type: "scatter",
      mode: "markers",
      name: "event",
      x: told.map((event) => event.epoch),
      y: told.map(() => height),
      meta: "events",
      marker: {
        size: 10,
        color: told.map((event) => c[EVENT_COLOURS[event.kind] || "quiet"]),
        symbol: told.map((event) => (event.kind === "guard" ? "triangle-down" : "diamond")),
      },
      customdata: told.map((event) => escaped(`${event.kind}: ${event.text}`)),
      hovertemplate: "%{customdata}",
    });
  }
  return { data: traces, layout: timeLayout(c, { shapes, yaxis }) };
}
// Plotly reads a few tags in its texts; what a run wrote is text.
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
