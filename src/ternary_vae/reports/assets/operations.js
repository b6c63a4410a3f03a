// The map's data unpacked, operations in words, and the one chosen on the map.
const map = data.map && unpackMap(data.map);
let mapDimensions = null; // of what is drawn

function unpackMap(packed) {
  const side = (one) => ({
    axes: one.positions.map((text, axis) => Array.from(shorts(text), (value) => value * one.scales[axis])),
    variance: one.variance,
    errors: bytes(one.errors),
    neighbour: bytes(one.neighbour),
  });
  const balance = new Array(COUNT);
  for (let i = 0; i < COUNT; i++) balance[i] = table(i).reduce((sum, value) => sum + value, 0);
  return { a: side(packed.a), b: side(packed.b), home: bytes(packed.home), balance, gates: packed.gates };
}
function operationText(index, side) {
  const width = Math.max(...VALUES.map((value) => sign(value).length)),
    row = (label, values) =>
      `  ${label.padEnd(CORNER.length)}  ${values.map((value) => sign(value).padStart(width)).join("  ")}<br>`;
  const name = map.gates[index] ? `<b>${map.gates[index]}</b><br>` : "";
  const rows = tableRows(table(index)).map(({ label, values }) => row(label, values));
  return (
    `${name}operation ${grouped(index)}<br>${row(CORNER, VALUES)}${rows.join("")}` +
    `home ${HOMES[map.home[index]]}<br>wrong entries ${map[side].errors[index]}<br>neighbour at ${map[side].neighbour[index]}`
  );
}

let chosen = null;
async function choose(index) {
  chosen = index;
  const place = document.getElementById("operation");
  const [facts, fact] = factList();
  fact("index", grouped(index));
  fact("home", HOMES[map.home[index]]);
  fact("wrong entries", `A ${map.a.errors[index]}, B ${map.b.errors[index]}`);
  fact("neighbour at", `A ${map.a.neighbour[index]}, B ${map.b.neighbour[index]}`);
  place.replaceChildren(make("h3", map.gates[index] || `Operation ${grouped(index)}`), truthTable(table(index)), facts);
  await ring();
}
async function ring() {
  const target = document.getElementById("map-plot"),
    c = colours();
  const side = map[document.getElementById("map-vae").value],
    flat = mapDimensions === 2;
  const old = target.data.findIndex((trace) => trace.meta === "chosen");
  if (old >= 0) await Plotly.deleteTraces(target, old);
  await Plotly.addTraces(target, {
    type: flat ? (hasWebGL() ? "scattergl" : "scatter") : "scatter3d",
    mode: "markers",
    meta: "chosen",
    showlegend: false,
    hoverinfo: "skip",
    x: [side.axes[0][chosen]],
    y: [side.axes[1][chosen]],
    ...(flat ? {} : { z: [side.axes[2][chosen]] }),
    marker: { size: flat ? 18 : 9, symbol: "circle-open", color: c.ink, line: { width: 3, color: c.ink } },
  });
}
// The operation that a text names, as everywhere else or by how a name begins; or one line on why there is none.
function find(text) {
  const found = understood(text);
  if (found.values) return { index: Number(wideIndex(found.values)) };
  const wanted = text.trim().toLowerCase(),
    hit = Object.entries(map.gates).find(([, name]) => name.toLowerCase().startsWith(wanted));
  return hit ? { index: Number(hit[0]) } : found;
}
