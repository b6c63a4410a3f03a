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
function gateButton(index, { note = null, changed = null, text: shownText = shortTitle(index) } = {}) {
  const button = make("button", null, {
    type: "button",
    class: "gate",
    title: inWords(index),
    "aria-label": note ? `${inWords(index)}, ${note}` : inWords(index),
    "data-index": index,
  });
  const text = make("span", null);
  text.append(make("span", shownText));
  if (note) text.append(make("span", note, { class: "quiet" }));
  button.append(glyph(index, { changed }), text);
  button.addEventListener("click", () => choose(index, true));
  return button;
}
function gateList(buttons) {
  const list = make("ul", null, { class: "gates" });
  list.append(
    ...buttons.map((button) => {
      const item = make("li", null);
      item.append(button);
      return item;
    }),
  );
  return list;
}
function section(name, ...content) {
  const part = make("details", null, { "data-part": name });
  part.open = openParts.has(name);
  part.addEventListener("toggle", () => openParts[part.open ? "add" : "delete"](name));
  part.append(make("summary", name), ...content);
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
  fact("wrong entries", `A ${vaes.a.errors[index]} · B ${vaes.b.errors[index]}`);

  const heading = make("h2", names[0] || `Gate ${heptavintimal(index)}`, { id: "card-title", tabindex: "-1" });
  const others = make("p", names.slice(1).join(" · "), { class: "quiet names" });
  const top = make("div", null, { class: "card-top" });
  top.append(truthTable(table(index)), facts);
  const walks = make("p", null, { class: "buttons" });
  const from = make("button", "Walk from here", { type: "button", id: "walk-from" }),
    to = make("button", "Walk to here", { type: "button", id: "walk-to" });
  from.addEventListener("click", () => startWalk(index, state.walk?.to ?? null));
  to.addEventListener("click", () => startWalk(state.walk?.from ?? null, index));
  walks.append(from, to);

  const hadFocus = place.contains(document.activeElement);
  place.replaceChildren(
    heading,
    ...(others.textContent ? [others] : []),
    top,
    walks,
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
  const list = make("ul", null, { class: "properties" });
  for (const property of properties) {
    const value = property.values[index];
    if (property.yesOrNo && !value) continue;
    const name = property.name.replaceAll("_", " ");
    const button = make("button", property.yesOrNo ? name : `${name}: ${value}`, {
      type: "button",
      class: "chip",
      title: `${property.description}; click to colour the map by it`,
    });
    button.addEventListener("click", () => setColouring(`property-${property.name}`));
    const item = make("li", null);
    item.append(button);
    list.append(item);
  }
  return list;
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
  const rows = make("table", null, { class: "orbits" }),
    head = make("thead", null),
    line = make("tr", null);
  line.append(
    ...["the same up to", "gates", "least"].map((name) => make("th", name, { scope: "col" })),
    make("td", null),
  );
  head.append(line);
  const body = make("tbody", null);
  for (const kind of classes) {
    const row = make("tr", null),
      least = kind.least[index],
      name = kind.name.replaceAll("_", " ");
    const show = make("button", "Show", { type: "button", "aria-label": `Show the orbit under ${name} on the map` });
    show.addEventListener("click", () => {
      const orbit = [];
      for (let i = 0; i < COUNT; i++) if (kind.least[i] === least) orbit.push(i);
      light(orbit, `${grouped(orbit.length)} gates: orbit of ${title(index)} under ${name}`);
    });
    const first = make("td", null),
      last = make("td", null);
    first.append(gateButton(least, { text: heptavintimal(least) }));
    last.append(show);
    row.append(
      make("th", name, { scope: "row", title: kind.description }),
      make("td", grouped(kind.sizes[index]), { class: "figure" }),
      first,
      last,
    );
    body.append(row);
  }
  rows.append(head, body);
  return rows;
}
