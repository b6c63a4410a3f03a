// The legend, and which gates are lit.
function drawLegend() {
  const place = document.getElementById("legend"),
    counts = new Array(colouring.names.length).fill(0);
  for (let i = 0; i < COUNT; i++) counts[colouring.of[i]]++;
  if (colouring.isScale) {
    const bar = make("span", null, { class: "bar", "aria-hidden": "true" });
    bar.style.background = `linear-gradient(90deg, ${colouring.colours.join(",")})`;
    const names = colouring.names;
    place.replaceChildren(make("span", names[0]), bar, make("span", names[names.length - 1]));
    return;
  }
  place.replaceChildren(
    ...colouring.names.flatMap((name, at) => {
      if (!counts[at]) return [];
      const dot = make("span", null, { class: "dot", "aria-hidden": "true" });
      dot.style.background = colouring.colours[at];
      const count = make("span", grouped(counts[at]), { class: "quiet" });
      const chip = make("button", [dot, make("span", name), count], {
        type: "button",
        class: "chip",
        "aria-pressed": String(!state.hidden.has(at)),
      });
      chip.addEventListener("click", () => {
        if (!state.hidden.delete(at)) state.hidden.add(at);
        chip.setAttribute("aria-pressed", String(!state.hidden.has(at)));
        paintSoon();
      });
      return [chip];
    }),
  );
}
function recolour() {
  const chosen = COLOURINGS.find((one) => one.id === state.colouring);
  colouring = chosen.make(side(), palette());
  document.getElementById("caption").textContent = chosen.caption();
  drawLegend();
  paintSoon();
}
function light(indices, label) {
  state.lit = null;
  if (indices) {
    const members = new Uint8Array(COUNT);
    for (const index of indices) members[index] = 1;
    state.lit = { indices, members, label };
  }
  document.getElementById("lit").hidden = !indices;
  document.getElementById("lit-label").textContent = label || "";
  paintSoon();
}
