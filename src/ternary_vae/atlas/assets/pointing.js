// What is under a finger, a mouse or a key, and what they do with the map.
function gateAt(x, y, within) {
  let best = null,
    least = within * within;
  for (let i = 0; i < COUNT; i++) {
    const [px, py] = onScreen(shown.x[i], shown.y[i]),
      squared = (px - x) ** 2 + (py - y) ** 2;
    if (squared < least && isShown(i) && (!state.lit || state.lit.members[i])) {
      best = i;
      least = squared;
    }
  }
  return best;
}
// The nearest gate that lies more in a direction than across it.
function gateTowards(dx, dy) {
  const [x, y] = onScreen(shown.x[state.chosen], shown.y[state.chosen]);
  let best = null,
    least = Infinity;
  for (let i = 0; i < COUNT; i++) {
    const [px, py] = onScreen(shown.x[i], shown.y[i]),
      along = (px - x) * dx + (py - y) * dy,
      across = Math.abs((px - x) * dy - (py - y) * dx);
    if (along <= 0 || across > along || !isShown(i) || (state.lit && !state.lit.members[i])) continue;
    const far = along + 2 * across;
    if (far < least) {
      best = i;
      least = far;
    }
  }
  return best;
}

const tip = document.getElementById("tip");
function hover(index) {
  if (index === hovered) return;
  hovered = index;
  canvas.classList.toggle("over", index !== null);
  tip.hidden = index === null;
  if (index !== null) {
    const [x, y] = onScreen(shown.x[index], shown.y[index]);
    const codes = make("span", `${heptavintimal(index)} · ${grouped(index)}`, { class: "quiet" });
    tip.replaceChildren(glyph(index), make("span", [make("strong", title(index)), codes]));
    tip.style.left = `${Math.min(x + 14, size.width - tip.offsetWidth - 6)}px`;
    tip.style.top = `${Math.min(Math.max(y - 24, 6), size.height - 60)}px`;
  }
  paintSoon();
}

const pointers = new Map();
let moved = 0;
canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  if (pointers.size === 1) moved = 0;
  hover(null);
});
canvas.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId),
    now = [event.offsetX, event.offsetY];
  if (last && event.pointerType === "mouse" && !event.buttons) pointers.delete(event.pointerId); // its release was lost
  if (!pointers.has(event.pointerId)) {
    if (event.pointerType === "mouse") hover(gateAt(...now, 10));
    return;
  }
  if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
    if (apart(last) > 0) zoomAt(apart(now) / apart(last), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    panBy((now[0] - last[0]) / 2, (now[1] - last[1]) / 2);
    moved = Infinity;
  } else {
    moved += Math.hypot(now[0] - last[0], now[1] - last[1]);
    if (moved > 4) panBy(now[0] - last[0], now[1] - last[1]);
  }
  pointers.set(event.pointerId, now);
});
canvas.addEventListener("pointerup", (event) => {
  if (pointers.size === 1 && moved <= 4) {
    const index = gateAt(event.offsetX, event.offsetY, event.pointerType === "mouse" ? 12 : 24);
    if (index !== null) choose(index);
  }
  pointers.delete(event.pointerId);
});
canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => hover(null));
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    hover(null);
    zoomAt(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.offsetX, event.offsetY);
  },
  { passive: false },
);
canvas.addEventListener("dblclick", (event) => zoomAt(event.shiftKey ? 0.5 : 2, event.offsetX, event.offsetY));

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  // Brackets are typed with AltGr or Option on many keyboards.
  if ((event.ctrlKey || event.metaKey || event.altKey) && event.key !== "[" && event.key !== "]") return;
  const arrow = ARROWS[event.key];
  if (arrow && event.shiftKey) panBy(-40 * arrow[0], -40 * arrow[1]);
  else if (arrow) {
    const index = gateTowards(...arrow);
    if (index !== null) choose(index, true);
  } else if (event.key === "+" || event.key === "=") zoomAtChosen(1.5);
  else if (event.key === "-") zoomAtChosen(1 / 1.5);
  else if (event.key === "0") wholeMap();
  else if (event.key === "[") startWalk(state.chosen, state.walk?.to ?? null);
  else if (event.key === "]") startWalk(state.walk?.from ?? null, state.chosen);
  else if (event.key === "Enter") document.getElementById("card-title").focus();
  else return;
  event.preventDefault();
});
