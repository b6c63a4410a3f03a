// A walk: the straight line between the means of two gates, decoded on the way.
function startWalk(from, to) {
  state.walk = { from, to, stops: null, place: 0 };
  if (from !== null && to !== null) {
    state.walk.stops = walkBetween(side(), from, to);
    bringWalkIntoView();
  }
  showWalk();
  remember();
  paintSoon();
}
function endWalk() {
  state.walk = null;
  showWalk();
  remember();
  paintSoon();
}
function bringWalkIntoView() {
  const { from, to } = state.walk;
  for (const index of [from, to]) {
    const [x, y] = onScreen(shown.x[index], shown.y[index]);
    if (x < 0 || y < 0 || x > size.width || y > size.height) return wholeMap();
  }
}
function showWalk() {
  const panel = document.getElementById("walk"),
    place = document.getElementById("walk-content"),
    hadFocus = panel.contains(document.activeElement);
  document.getElementById("walk-hint").hidden = Boolean(state.walk);
  fillWalk(place, state.walk);
  if (!hadFocus) return;
  const next = place.querySelector("input") || place.querySelector("button") || document.getElementById("walk-example");
  next.focus({ preventScroll: true });
}
function fillWalk(place, walk) {
  if (!walk) return place.replaceChildren();
  const sides = ["from", "to"].map((name) =>
    make("div", [
      make("span", name, { class: "quiet" }),
      walk[name] === null ? make("span", "choose a gate") : gateButton(walk[name]),
    ]),
  );
  const turn = make("button", "Turn round", { type: "button" }),
    end = make("button", "End the walk", { type: "button" });
  turn.addEventListener("click", () => startWalk(walk.to, walk.from));
  end.addEventListener("click", endWalk);
  const ends = make("div", sides, { class: "ends" }),
    buttons = make("p", [turn, end], { class: "buttons" });
  if (!walk.stops) return place.replaceChildren(ends, buttons);

  const count = walk.stops.length,
    met = `${grouped(count)} ${count === 1 ? "gate" : "gates"} on the way, decoded by VAE-${state.vae.toUpperCase()}`;
  const slider = make("input", null, {
    type: "range",
    id: "walk-place",
    min: 0,
    max: 1000,
    value: Math.round(1000 * walk.place),
    "aria-label": "Place on the way",
  });
  const now = make("div", null, { class: "now", id: "walk-now" });
  const items = walk.stops.map(({ index, start, end: until }, at) => {
    const apart = at ? entriesBetween(table(index), table(walk.stops[at - 1].index)) : 0;
    const note = `${percent(start, 1)} to ${percent(until, 1)}${apart > 1 ? `, ${apart} entries` : ""}`;
    return make("li", gateButton(index, { note }));
  });
  const stops = make("ol", items, { class: "gates", id: "walk-stops", "aria-label": met });
  const show = () => {
    const logits = decode(side(), onTheWay(side(), walk.from, walk.to, walk.place)),
      index = mostLikely(logits),
      sure = certainty(logits);
    const told = `${percent(walk.place, 0)} of the way; least certain entry ${percent(Math.min(...sure), 0)}`;
    now.replaceChildren(
      glyph(index, { opacity: sure.map((p) => Math.max(0.15, (p - 1 / 3) * 1.5)) }),
      make("span", [make("strong", title(index)), make("span", told, { class: "quiet" })]),
    );
    slider.setAttribute("aria-valuetext", `${percent(walk.place, 0)} of the way: ${title(index)}`);
    items.forEach((item, at) => {
      const { start, end: until } = walk.stops[at];
      item.classList.toggle("here", start <= walk.place && (walk.place < until || (until === 1 && walk.place === 1)));
    });
  };
  slider.addEventListener("input", () => {
    walk.place = slider.value / 1000;
    show();
    paintSoon();
  });
  show();
  place.replaceChildren(ends, slider, now, make("p", `${met}:`, { class: "quiet" }), stops, buttons);
}
