// Controls, search, what the address remembers, and the first drawing.
const colourChooser = document.getElementById("colouring"),
  planeChooser = document.getElementById("plane"),
  input = document.getElementById("find"),
  results = document.getElementById("results"),
  status = document.getElementById("find-status");

for (const group of new Set(COLOURINGS.map((one) => one.group))) {
  const members = COLOURINGS.filter((one) => one.group === group);
  const options = members.map((one) => make("option", one.label, { value: one.id }));
  colourChooser.append(make("optgroup", options, { label: group }));
}
function setColouring(id) {
  if (!COLOURINGS.some((one) => one.id === id)) return;
  state.colouring = colourChooser.value = id;
  state.hidden.clear();
  recolour();
  remember();
}
function setVae(vae) {
  if (vae !== state.vae) state.hidden.clear();
  state.vae = vae;
  document.querySelector(`input[name="vae"][value="${vae}"]`).checked = true;
  hover(null);
  placeGates(true);
  describePlane();
  recolour();
  if (state.walk?.stops) startWalk(state.walk.from, state.walk.to);
  if (state.chosen !== null) choose(state.chosen);
  showStructure();
}
function describePlane() {
  for (const option of planeChooser.options) {
    const parts = [...option.value].map((at) => `${Number(at) + 1} (${percent(side().variance[at], 0)})`);
    option.textContent = parts.join(" × ");
  }
}
colourChooser.addEventListener("change", () => setColouring(colourChooser.value));
for (const radio of document.querySelectorAll('input[name="vae"]'))
  radio.addEventListener("change", () => setVae(radio.value));
planeChooser.addEventListener("change", () => {
  state.plane = [...planeChooser.value].map(Number);
  placeGates(true);
  remember();
});
document.getElementById("names").addEventListener("change", paintSoon);
document.getElementById("zoom-in").addEventListener("click", () => zoomAt(1.6));
document.getElementById("zoom-out").addEventListener("click", () => zoomAt(1 / 1.6));
document.getElementById("whole").addEventListener("click", wholeMap);
document.getElementById("unlight").addEventListener("click", () => {
  light(null);
  canvas.focus({ preventScroll: true });
});
document.getElementById("walk-example").addEventListener("click", () => {
  const [from, to] = ["minimum", "maximum"].map((name) => find(name).readings[0].index);
  choose(from);
  startWalk(from, to);
});

// The search: a text box with a list of what it may mean.
let offered = [],
  active = -1;
function offer(entries) {
  offered = entries;
  active = entries.length ? 0 : -1;
  results.replaceChildren(
    ...entries.map(({ index, text, note }, at) => {
      const words = make("span", [make("span", text), make("span", note, { class: "quiet" })]);
      const content = index === undefined ? words : [glyph(index), words];
      const option = make("li", content, { role: "option", id: `option-${at}` });
      option.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the box
      option.addEventListener("click", () => take(at));
      return option;
    }),
  );
  results.hidden = !entries.length;
  input.setAttribute("aria-expanded", String(entries.length > 0));
  mark();
}
function mark() {
  [...results.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
  if (active >= 0) {
    input.setAttribute("aria-activedescendant", `option-${active}`);
    results.children[active].scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}
function look() {
  const text = input.value;
  status.textContent = "";
  if (!text.trim()) return offer([]);
  const { readings, partial, count } = find(text);
  const gate = (index, note) => ({
    index,
    text: title(index),
    note: `${note} · ${heptavintimal(index)} · ${grouped(index)}`,
    act: () => choose(index, true),
  });
  if (partial) {
    const found = fitting(partial);
    status.textContent = `${grouped(count)} ${count === 1 ? "gate fits" : "gates fit"} this table.`;
    const all = {
      text: `Show ${count === 1 ? "it" : `all ${grouped(count)}`} on the map`,
      note: "the others become faint",
      act: () => light(found, `${grouped(count)} ${count === 1 ? "gate that fits" : "gates that fit"} ${text.trim()}`),
    };
    return offer([all, ...found.slice(0, MOST_SHOWN).map((index) => gate(index, tableText(index)))]);
  }
  const read = readings.map(({ index, how }) => gate(index, how)),
    known = new Set(readings.map(({ index }) => index));
  const also = suggestions(text).filter(({ index }) => !known.has(index));
  offer([...read, ...also.map(({ index, name }) => gate(index, `name ${name}`))].slice(0, MOST_SHOWN));
  if (readings.length > 1) status.textContent = `This could be ${readings.length} gates; choose one.`;
  else if (!offered.length)
    status.textContent =
      "No gate of two inputs is called that. Give a name (SUM), an index (5681), a heptavintimal name (7PB) or a truth table (+-0-0+0+-, ? for any).";
}
function take(at) {
  const { act } = offered[at];
  offer([]);
  act();
}
input.addEventListener("input", look);
input.addEventListener("focus", look);
input.addEventListener("blur", () => offer([]));
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    if (!offered.length) look();
    if (active >= 0) take(active);
  } else if (event.key === "Escape") offer([]);
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!offered.length) return look();
    active = (active + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length;
    mark();
  } else return;
  event.preventDefault();
});
addEventListener("keydown", (event) => {
  const writes = document.activeElement?.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=range])");
  if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey) {
    input.focus();
    input.select();
    event.preventDefault();
  }
});

// The address says what is shown, so that a link shows it again.
function remember() {
  const { chosen, vae, colouring: colour } = state;
  const parts = { gate: heptavintimal(chosen ?? 0), vae, colour, plane: planeChooser.value };
  if (state.walk?.stops) parts.walk = `${heptavintimal(state.walk.from)}-${heptavintimal(state.walk.to)}`;
  try {
    history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
  } catch {
    // Some browsers allow a hundred changes in a while; a key that is held makes more.
  }
}
function recalled() {
  const parts = new URLSearchParams(location.hash.slice(1)),
    gate = (text) => find(`heptavintimal:${text || ""}`).readings[0]?.index;
  const [from, to] = (parts.get("walk") || "").split("-").map(gate);
  const [vae, colour, plane] = ["vae", "colour", "plane"].map((name) => parts.get(name));
  return { gate: gate(parts.get("gate")), vae, colour, plane, from, to };
}
function show({ gate, vae, colour, plane, from, to }) {
  state.chosen = gate ?? state.chosen ?? find("minimum").readings[0].index;
  state.hidden.clear();
  if (COLOURINGS.some((one) => one.id === colour)) state.colouring = colourChooser.value = colour;
  if ([...planeChooser.options].some((one) => one.value === plane)) {
    planeChooser.value = plane;
    state.plane = [...plane].map(Number);
  }
  setVae(vae === "a" || vae === "b" ? vae : state.vae);
  if (from !== undefined && to !== undefined) startWalk(from, to);
  else if (state.walk) endWalk();
}
addEventListener("hashchange", () => {
  if (location.hash.includes("=")) show(recalled()); // others lead to a place of the page
});

redrawnWhenItLooksOtherwise(recolour, () => {
  recolour();
  paint(); // at once: what is printed waits for no frame
});
new ResizeObserver(fit).observe(canvas);
colourChooser.value = state.colouring;
colouring = COLOURINGS[0].make(side(), palette());
placeGates(false);
fit();
show(recalled());
requestAnimationFrame(() => {
  paint();
  root.dataset.ready = "true";
});
