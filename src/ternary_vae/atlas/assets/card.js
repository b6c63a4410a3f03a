// A gate's card: table, names, properties, orbit, neighbours.
const SVG = "http://www.w3.org/2000/svg";
function drawn(tag, attributes, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}
function glyph(index, { opacity = null, changed = null } = {}) {
  const svg = drawn("svg", { viewBox: "0 0 30 30", class: "glyph", "aria-hidden": "true" });
  table(index).forEach((value, at) => {
    const place = { x: 10 * (at % 3) + 0.5, y: 10 * Math.floor(at / 3) + 0.5, width: 9, height: 9, rx: 1.5 };
    const look = { class: `value${value + 1}${at === changed ? " changed" : ""}` };
    svg.append(drawn("rect", { ...place, ...look, ...(opacity && { opacity: opacity[at] }) }));
  });
  return svg;
}
function inWords(index) {
  return `${title(index)}, index ${grouped(index)}, table ${tableText(index)}`;
}
// A button that leads to a gate.
function gateButton(index, { note = null, changed = null, text = shortTitle(index) } = {}) {
  const words = [make("span", text), ...(note ? [make("span", note, { class: "quiet" })] : [])];
  const button = make("button", [glyph(index, { changed }), make("span", words)], {
    type: "button",
    class: "gate",
    title: inWords(index),
    "aria-label": note ? `${inWords(index)}, ${note}` : inWords(index),
    "data-index": index,
  });
  button.addEventListener("click", () => choose(index, true));
  return button;
}
const gateList = (buttons) => make("ul", buttons.map((button) => make("li", button)), { class: "gates" });
function section(name, content) {
  const part = make("details", [make("summary", name), content], { "data-part": name });
  part.open = openParts.has(name);
  part.addEventListener("toggle", () => openParts[part.open ? "add" : "delete"](name));
  return part;
}
const openParts = new Set(["Properties", "Nearest in the latent space"]);

function choose(index, moves = false) {
  state.chosen = index;
  const place = document.getElementById("card"),
    names = namesOf(index);
  const [facts, fact] = factList();
  fact("index", grouped(index));
  fact("heptavintimal", heptavintimal(index));
  fact("truth table", tableText(index));
  fact("valuation", index ? `${valuation(index)}` : "∞");
  fact("home", HOMES[home[index]]);
  const borne = (one) => percent(vaes[one].exact[index] / data.noise.draws, 0);
  fact(`exact at σ ${data.noise.sigma}`, `A ${borne("a")} · B ${borne("b")}`);
  fact("noise draws", grouped(data.noise.draws));
  fact("wrong entries", `A ${vaes.a.errors[index]} · B ${vaes.b.errors[index]}`);

  const heading = make("h2", names[0] || `Gate ${heptavintimal(index)}`, { id: "card-title", tabindex: "-1" });
  const others = names.slice(1).join(" · ");
  const from = make("button", "Walk from here", { type: "button", id: "walk-from" }),
    to = make("button", "Walk to here", { type: "button", id: "walk-to" });
  from.addEventListener("click", () => startWalk(index, state.walk?.to ?? null));
  to.addEventListener("click", () => startWalk(state.walk?.from ?? null, index));

  const hadFocus = place.contains(document.activeElement);
  place.replaceChildren(
    heading,
    ...(others ? [make("p", others, { class: "quiet names" })] : []),
    make("div", [truthTable(table(index)), facts], { class: "card-top" }),
    make("p", [from, to], { class: "buttons" }),
    section("Properties", propertyList(index)),
    section("Nearest in the latent space", nearestList(index)),
    section(
      "One entry apart",
      gateList(oneEntryApart(index).map(({ at, index: other }) => gateButton(other, { changed: at }))),
    ),
    section("Orbits", orbitTable(index)),
  );
  if (hadFocus) heading.focus({ preventScroll: true });
  document.getElementById("said").textContent = inWords(index);
  remember();
  if (moves) bringIntoView(index);
  paintSoon();
}
function propertyList(index) {
  const shown = properties.filter(({ yesOrNo, values }) => !yesOrNo || values[index]);
  const items = shown.map(({ name, label, description, yesOrNo, values }) => {
    const button = make("button", yesOrNo ? label : `${label}: ${values[index]}`, {
      type: "button",
      class: "chip",
      title: `${description}; click to colour the map by it`,
    });
    button.addEventListener("click", () => setColouring(`property-${name}`));
    return make("li", button);
  });
  return make("ul", items, { class: "properties" });
}
function nearestList(index) {
  return gateList(
    nearestInLatentSpace(side(), index, 8).map(({ index: other, distance }) => {
      const apart = entriesBetween(table(index), table(other));
      return gateButton(other, { note: `${distance.toFixed(2)} away, ${apart} ${apart === 1 ? "entry" : "entries"}` });
    }),
  );
}
function orbitTable(index) {
  const names = ["the same up to", "gates", "least"].map((name) => make("th", name, { scope: "col" }));
  const rows = classes.map(({ label, description, least, sizes }) => {
    const show = make("button", "Show", { type: "button", "aria-label": `Show the orbit under ${label} on the map` });
    show.addEventListener("click", () => {
      const orbit = [];
      for (let i = 0; i < COUNT; i++) if (least[i] === least[index]) orbit.push(i);
      light(orbit, `${grouped(orbit.length)} gates: orbit of ${title(index)} under ${label}`);
    });
    return [
      make("th", label, { scope: "row", title: description }),
      make("td", grouped(sizes[index]), { class: "figure" }),
      make("td", gateButton(least[index], { text: heptavintimal(least[index]) })),
      make("td", show),
    ];
  });
  return tableOf([...names, make("td")], rows, { class: "orbits" });
}
