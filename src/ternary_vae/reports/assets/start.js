// Draws everything, and again when the theme, the width or the paper changes.
const drawAll = () => drawCharts(drawMap);
const redrawMap = () => drawCharts(drawMap, []);

// Paper is narrower than a screen.
function drawForPaper() {
  for (const id of Object.keys(charts))
    draw(id).then(() => {
      const one = document.getElementById(id);
      if (one) Plotly.relayout(one, { width: 660 });
    });
  if (mapDimensions === 2) drawMap().then(() => Plotly.relayout("map-plot", { width: 660 }));
}
addEventListener("afterprint", () => {
  for (const one of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(one, { width: undefined });
});
redrawnWhenItLooksOtherwise(drawAll, drawForPaper);

if (map) {
  for (const id of ["map-vae", "map-colour", "map-dimensions"]) {
    document.getElementById(id).addEventListener("change", redrawMap);
  }
  const names = document.getElementById("gates");
  names.append(...Object.values(map.gates).map((value) => make("option", null, { value })));
  document.getElementById("find").addEventListener("change", (change) => {
    const { index, trouble } = change.target.value.trim() ? find(change.target.value) : {};
    document.getElementById("map-status").textContent = trouble ?? "";
    if (index !== undefined) drawing = drawing.then(() => choose(index)).catch(sayFailure);
  });
  chosen = find("minimum").index ?? 0;
}
drawAll();
