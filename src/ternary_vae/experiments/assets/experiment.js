// Charts of an experiment: differences with intervals, curves over epochs, every seed.
const PALETTE = ["b", "a", "both", "mark", "amber", "quiet"];
const armLook = (c, name) => {
  const at = data.arms.findIndex((arm) => arm.name === name);
  return { ...data.arms[at], colour: c[PALETTE[at % PALETTE.length]] };
};
const shareAxis = (measure) => ({ ...(measure.share && shares), ...(measure.bounded && bounded) });
const value = (measure, amount) => (measure.share ? percent(amount) : plain([amount])[0]);
// Heights around a line, so that equal dots are all seen.
const around = (place, count) => Array.from({ length: count }, (_, at) => place + 0.44 * ((at + 0.5) / count - 0.5));
const rows = (labels) => ({
  tickvals: labels.map((_, at) => at),
  ticktext: labels,
  range: [labels.length - 0.4, -0.6],
  zeroline: false,
  fixedrange: true,
});
const heightOf = (lines) => 110 + 34 * lines.length;

data.measures.forEach((measure, at) => {
  charts[`effect-${at}`] = (c) => {
    const shapes = [],
      traces = [];
    measure.effects.forEach((effect, place) => {
      const look = armLook(c, effect.arm);
      if (effect.reach !== null) {
        shapes.push(area(c.phase, { x0: -effect.reach, x1: effect.reach, y0: place - 0.36, y1: place + 0.36 }));
      }
      const bare = { type: "scatter", showlegend: false, hovertemplate: "%{text}<extra></extra>" };
      traces.push({
        ...bare,
        mode: "markers",
        x: effect.seeds,
        y: around(place, effect.seeds.length),
        hoverinfo: "skip",
        hovertemplate: undefined,
        marker: { color: look.colour, size: 4, opacity: 0.55 },
      });
      const arms = effect.low === null ? undefined : [effect.high - effect.mean];
      traces.push({
        ...bare,
        mode: "markers",
        x: [effect.mean],
        y: [place],
        text: [wrapped(effect.says)],
        meta: effect.certain ? "certain" : "open",
        error_x: arms && { type: "data", array: arms, color: look.colour, thickness: 2, width: 4 },
        marker: {
          color: effect.certain ? look.colour : c.surface,
          size: 10,
          symbol: look.symbol,
          line: { color: look.colour, width: 2 },
        },
      });
    });
    const labels = measure.effects.map((effect) => effect.label);
    return {
      data: traces,
      height: heightOf(labels),
      layout: baseLayout(c, {
        shapes,
        hovermode: "closest",
        xaxis: { zeroline: true, zerolinecolor: c.limit, title: { text: measure.unit, font: { size: 11 } } },
        yaxis: rows(labels),
      }),
    };
  };

  charts[`curve-${at}`] = (c) => {
    const traces = data.arms.flatMap((arm) => {
      const curve = measure.curves[arm.name],
        look = armLook(c, arm.name);
      if (!curve.epoch.length) return [];
      const group = { legendgroup: arm.name };
      return [
        ...filledBand(curve.epoch, curve.low, curve.high, look.colour + "22", group),
        joined(arm.label, curve.epoch, curve.mean, look.colour, look.symbol, { width: 2, dash: look.dash }, {
          ...group,
          mode: curve.epoch.length > 20 ? "lines" : "lines+markers",
          marker: { symbol: look.symbol, size: 7 },
          customdata: curve.mean.map(
            (mean, i) => `${value(measure, mean)} [${value(measure, curve.low[i])}, ${value(measure, curve.high[i])}]`,
          ),
        }),
      ];
    });
    return { data: traces, layout: timeLayout(c, { yaxis: shareAxis(measure) }) };
  };

  charts[`seed-${at}`] = (c) => {
    const traces = data.arms.map((arm, place) => {
      const seeds = measure.seeds.filter((seed) => seed.arm === arm.name && seed.value !== null),
        look = armLook(c, arm.name);
      return {
        type: "scatter",
        mode: "markers",
        showlegend: false,
        x: seeds.map((seed) => seed.value),
        y: around(place, seeds.length),
        text: seeds.map((seed) => `${arm.name}, seed ${seed.seed}<br>${value(measure, seed.value)}`),
        customdata: seeds.map((seed) => seed.link),
        hovertemplate: "%{text}<extra></extra>",
        marker: { color: look.colour, symbol: look.symbol, size: 9, opacity: 0.8 },
      };
    });
    return {
      data: traces,
      height: heightOf(data.arms),
      onClick: ({ points }) => {
        if (points[0].customdata) location.href = points[0].customdata;
      },
      layout: baseLayout(c, {
        hovermode: "closest",
        xaxis: { ...shareAxis(measure), zeroline: false },
        yaxis: rows(data.arms.map((arm) => arm.label)),
      }),
    };
  };
});

function wrapped(text, width = 60) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1).length + word.length > width) lines.push("");
    lines[lines.length - 1] += `${word} `;
  }
  return lines.map((one) => one.trim()).join("<br>");
}

redrawnWhenItLooksOtherwise(drawCharts);
drawCharts();
