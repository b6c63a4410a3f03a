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
  const ends = make("div", null, { class: "ends" });
  for (const [name, index] of [
    ["from", walk.from],
    ["to", walk.to],
  ]) {
    const end = make("div", null);
    end.append(make("span", name, { class: "quiet" }));
    end.append(index === null ? make("span", "choose a gate") : gateButton(index));
    ends.append(end);
  }
  const buttons = make("p", null, { class: "buttons" }),
    turn = make("button", "Turn round", { type: "button" }),
    end = make("button", "End the walk", { type: "button" });
  turn.addEventListener("click", () => startWalk(walk.to, walk.from));
  end.addEventListener("click", endWalk);
  buttons.append(turn, end);
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
  const stops = make("ol", null, { class: "gates", id: "walk-stops", "aria-label": met });
  walk.stops.forEach(({ index, start, end: until }, at) => {
    const item = make("li", null),
      apart = at ? entriesBetween(table(index), table(walk.stops[at - 1].index)) : 0;
    const note = `${percent(start, 1)} to ${percent(until, 1)}${apart > 1 ? `, ${apart} entries` : ""}`;
    item.append(gateButton(index, { note }));
    stops.append(item);
  });
  const show = () => {
    const logits = decode(side(), onTheWay(side(), walk.from, walk.to, walk.place)),
      index = mostLikely(logits),
      sure = certainty(logits);
    const text = make("span", null);
    text.append(
      make("strong", title(index)),
      make("span", `${percent(walk.place, 0)} of the way; least certain entry ${percent(Math.min(...sure), 0)}`, {
        class: "quiet",
      }),
    );
    now.replaceChildren(glyph(index, { opacity: sure.map((p) => Math.max(0.15, (p - 1 / 3) * 1.5)) }), text);
    slider.setAttribute("aria-valuetext", `${percent(walk.place, 0)} of the way: ${title(index)}`);
    [...stops.children].forEach((item, at) => {
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
