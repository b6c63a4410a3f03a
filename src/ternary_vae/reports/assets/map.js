// The map of all operations, in two dimensions or three.
const ENTRIES = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][space.entries];
const signed = (sum) => (sum > 0 ? `+${sum}` : `${sum}`.replace("-", "−"));
// Every colouring is a list of classes, so that the legend counts them and a click hides one.
function classes(colouring, side, c) {
  if (colouring === "home") {
    return {
      of: map.home,
      names: HOMES,
      colours: [c.a, c.b, c.neither],
      caption: HOME_CAPTION,
    };
  }
  if (colouring === "errors") {
    const top = Math.min(3, Math.max(...map[side].errors));
    return {
      of: map[side].errors.map((value) => Math.min(value, 3)),
      names: ["exact", "1 wrong entry", "2 wrong entries", top === 3 ? "3 or more" : ""],
      colours: [c.b, c.neither, c.amber, c.quiet], // told apart by the colour-blind too
      caption: `Entries that this VAE decodes wrongly from its own posterior mean, of ${ENTRIES}.`,
    };
  }
  return {
    of: map[side].neighbour.map((value) => Math.min(value, 3) - 1),
    names: ["1 entry apart", "2 entries apart", "3 or more"],
    colours: [c.b, c.amber, c.quiet],
    caption: "Truth-table entries in which an operation differs from its nearest neighbour in this latent space.",
  };
}

// One trace, not one a class, of which the last drawn would hide the rest.
const ORDER = map ? inRandomOrder(COUNT) : [];
const hidden = new Set(); // names of classes that a click on the legend has hidden

function mapTraces(c, side, colouring, dimensions) {
  const axes = map[side].axes;
  const type = dimensions === 3 ? "scatter3d" : hasWebGL() ? "scattergl" : "scatter";
  const trace = (name, members, marker, more = {}) => ({
    type,
    mode: "markers",
    name,
    x: members.map((i) => axes[0][i]),
    y: members.map((i) => axes[1][i]),
    ...(dimensions === 3 ? { z: members.map((i) => axes[2][i]) } : {}),
    customdata: members,
    text: members.map((i) => operationText(i, side)),
    hovertemplate: "%{text}<extra></extra>",
    marker: { size: dimensions === 3 ? 2.4 : 4.5, opacity: dimensions === 3 ? 1 : 0.8, line: { width: 0 }, ...marker },
    ...more,
  });
  const traces = [];
  let caption;
  if (colouring === "balance") {
    const [least, most] = [VALUES[0], VALUES[space.values - 1]].map((value) => value * space.entries);
    caption = `Sum of the ${ENTRIES} answers: ${signed(least)} answers false everywhere, ${signed(most)} true everywhere.`;
    traces.push(
      trace(
        "operations",
        ORDER,
        {
          color: ORDER.map((i) => map.balance[i]),
          cmin: least,
          cmax: most,
          colorscale: [
            [0, c.a],
            [0.5, c.neither],
            [1, c.b],
          ],
          colorbar: { thickness: 10, outlinewidth: 0, tickvals: [least, (least + most) / 2, most], x: 1, xpad: 4, len: 0.6 },
        },
        { showlegend: false, meta: "operations" },
      ),
    );
  } else {
    const kind = classes(colouring, side, c);
    caption = kind.caption;
    const shown = ORDER.filter((i) => !hidden.has(kind.names[kind.of[i]]));
    traces.push(
      trace(
        "operations",
        shown,
        { color: shown.map((i) => kind.colours[kind.of[i]]) },
        { showlegend: false, meta: "operations" },
      ),
    );
    kind.names.forEach((name, at) => {
      const count = kind.of.reduce((sum, value) => sum + (value === at), 0);
      if (count) {
        traces.push({
          ...trace(`${name} (${grouped(count)})`, [], { color: kind.colours[at], size: 8 }),
          x: [null],
          y: [null],
          z: dimensions === 3 ? [null] : undefined,
          meta: name,
          visible: hidden.has(name) ? "legendonly" : true,
        });
      }
    });
  }
  const gates = Object.keys(map.gates).map(Number);
  traces.push(
    trace(
      "named gates",
      gates,
      {
        size: dimensions === 3 ? 5 : 9,
        opacity: 1,
        color: c.ink,
        symbol: "diamond-open",
        line: { width: 1.5, color: c.ink },
      },
      { meta: "gates", visible: hidden.has("gates") ? "legendonly" : true },
    ),
  );
  return { traces, caption };
}

let webgl;
function hasWebGL() {
  if (webgl === undefined) {
    try {
      const context = document.createElement("canvas").getContext("webgl");
      webgl = Boolean(context);
      context?.getExtension("WEBGL_lose_context")?.loseContext();
    } catch {
      webgl = false;
    }
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
  const axisTitle = (at) => ({
    text: `component ${at + 1} (${percent(share[at], 0)} of variance)`,
    font: { size: 11 },
  });
  const hoverlabel = {
    bgcolor: c.surface,
    bordercolor: c.line,
    align: "left",
    font: { family: MONOSPACE, size: 13, color: c.ink },
  };
  const layout = baseLayout(c, {
    hovermode: "closest",
    hoverlabel,
    dragmode: isTouch() ? false : "pan",
    uirevision: `${side}${dimensions}`,
    xaxis: { title: axisTitle(0), zeroline: false },
    yaxis: { title: axisTitle(1), zeroline: false, scaleanchor: "x" },
  });
  layout.legend = { ...layout.legend, itemsizing: "constant", y: dimensions === 3 ? 0 : isNarrow() ? -0.2 : -0.12 };
  if (dimensions === 3) {
    const axis = (at) => ({
      title: { text: `component ${at + 1}`, font: { size: 11 } },
      gridcolor: c.grid,
      zerolinecolor: c.grid,
      backgroundcolor: c.surface,
      color: c.quiet,
      showspikes: false,
    });
    Object.assign(layout, {
      scene: {
        xaxis: axis(0),
        yaxis: axis(1),
        zaxis: axis(2),
        dragmode: "orbit",
        aspectmode: "data",
        camera: { eye: { x: 1.3, y: 1.3, z: 0.9 } },
      },
      margin: { l: 0, r: 0, t: 0, b: 0 },
    });
    delete layout.xaxis;
    delete layout.yaxis;
  }
  if (mapDimensions && mapDimensions !== dimensions) Plotly.purge(target);
  if (!target.classList.contains("js-plotly-plot")) target.replaceChildren();
  await Plotly.react(target, traces, layout, { ...config(dimensions === 3 ? SPATIAL : FLAT), scrollZoom: !isTouch() });
  if (mapDimensions !== dimensions) {
    target.on("plotly_click", ({ points }) => {
      drawing = drawing.then(() => choose(points[0].customdata)).catch(sayFailure);
    });
    target.on("plotly_legendclick", ({ curveNumber }) => {
      const name = target.data[curveNumber].meta;
      if (!hidden.delete(name)) hidden.add(name);
      redrawMap();
      return false;
    });
    target.on("plotly_legenddoubleclick", () => false);
  }
  mapDimensions = dimensions;
  document.getElementById("map-caption").textContent =
    `${caption} Posterior means of VAE-${side.toUpperCase()} projected on their first ${dimensions} principal components. Click a point to keep it.`;
  if (chosen !== null) await choose(chosen);
}
