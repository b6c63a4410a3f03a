// A large space by search and by walks, a few gates at a time.
const explored = { walk: [], vae: "a", from: null, to: null }; // the last gate of the walk is the one that is shown
const place = (id) => document.getElementById(`explore-${id}`);
const inEntries = (count, what = "") => `${grouped(count)} ${what}${count === 1 ? "entry" : "entries"}`;

const namesOf = (values) => data.names[wideIndex(values)] || [];
const calledOf = (values) => namesOf(values)[0] || (space.values === 3 ? heptavintimalOf(values) : textOf(values));
// The gate that a text names, or one line on why there is none.
function understood(text) {
  const { readings, partial } = readGate(text.trim());
  if (readings.length === 1) return readings[0];
  if (partial) return { trouble: "A truth table with ? is more than one gate: give every value." };
  if (readings.length)
    return {
      trouble: `This could be ${readings.length} gates, by ${readings.map(({ how }) => how).join(" or by ")}: write index: or table: before it, or a truth table with commas between its values.`,
    };
  const said = text.trim().slice(0, 40) + (text.trim().length > 40 ? "…" : ""),
    [name] = Object.values(data.names).flat();
  const kinds = [
    `an index from 0 to ${grouped(BigInt(space.operations) - 1n)}`,
    ...(space.values === 3 ? [`a heptavintimal name of ${space.entries / 3} characters`] : []),
    `a truth table of ${space.entries} values ${VALUES.map(sign).join(" ")}`,
    ...(name ? [`a name such as ${name}`] : []),
  ];
  return { trouble: `There is no gate “${said}” here. Give ${kinds.slice(0, -1).join(", ")} or ${kinds.at(-1)}.` };
}
function randomGate() {
  return Array.from({ length: space.entries }, () => VALUES[Math.floor(Math.random() * space.values)]);
}
// A button that goes on to a gate.
function gateButton(values, walk) {
  const button = make("button", calledOf(values), { type: "button", class: "gate", title: textOf(values) });
  button.addEventListener("click", () => {
    walkTo(walk);
    // It may have been in what is new now.
    if (!button.isConnected) place("gate").querySelector("h3").focus({ preventScroll: true });
  });
  return button;
}
const plainTable = (header, rows) =>
  tableOf(
    header.map((name) => make("th", name, { scope: "col" })),
    rows.map((cells) => cells.map((content) => make("td", content))),
  );

function walkTo(walk) {
  explored.walk = walk;
  showGate();
  showNeighbours();
}
function showGate() {
  const values = explored.walk.at(-1),
    [facts, fact] = factList(),
    tables = make("div", facts, { class: "answers" });
  fact("index", grouped(wideIndex(values)));
  if (space.values === 3) fact("heptavintimal", heptavintimalOf(values));
  fact("truth table", textOf(values));
  const shown = (caption, answers) =>
    tables.append(make("figure", [make("figcaption", caption), truthTable(answers, values)]));
  shown("The gate", values);
  const wrong = { a: 0, b: 0 };
  for (const [side, vae] of Object.entries(networks)) {
    const answers = answerTo(vae, codeOf(vae, values));
    wrong[side] = entriesBetween(answers, values);
    const says = wrong[side] ? inEntries(wrong[side], "wrong ") : "exact";
    shown(`VAE-${side.toUpperCase()}: ${says}`, answers);
  }
  const others = namesOf(values).slice(1).join(" · ");
  place("gate").replaceChildren(
    make("h3", calledOf(values), { tabindex: "-1" }),
    ...(others ? [make("p", others, { class: "quiet" })] : []),
    tables,
  );
  place("status").textContent = `${calledOf(values)}: wrong entries A ${wrong.a}, B ${wrong.b}`;
  place("status").classList.remove("trouble");
  place("walk").hidden = explored.walk.length < 2;
  place("walk").replaceChildren(
    make("span", "Walked ", { class: "quiet" }),
    ...explored.walk.flatMap((gate, at) => [
      ...(at ? [" → "] : []),
      gateButton(gate, explored.walk.slice(0, at + 1)),
    ]),
  );
}
function showNeighbours() {
  const values = explored.walk.at(-1),
    near = neighboursOf(networks[explored.vae], values),
    exact = near.filter(({ wrong }) => !wrong).length,
    distances = near.map(({ distance }) => fixed(distance, 3));
  place("near").textContent =
    `${grouped(near.length)} gates differ from ${calledOf(values)} in one entry. Their codes lie ${distances[0]} to ` +
    `${distances.at(-1)} from its own, and VAE-${explored.vae.toUpperCase()} decodes ` +
    `${exact === near.length ? "all of them" : `${grouped(exact)} of them`} exactly.`;
  place("neighbours").replaceChildren(
    plainTable(
      [`at ${INPUTS.join(" ")}`, "value", "gate", "distance", "decoded"],
      near.map((one, at) => [
        argumentsAt(one.entry).map(sign).join(" "),
        `${sign(values[one.entry])} → ${sign(one.values[one.entry])}`,
        gateButton(one.values, [...explored.walk, one.values]),
        distances[at],
        one.wrong ? inEntries(one.wrong, "wrong ") : "exactly",
      ]),
    ),
  );
}
function showLine() {
  const { from, to } = explored,
    stops = lineBetween(networks[explored.vae], from, to),
    met = new Set(stops.map(({ values }) => textOf(values))).size;
  place("between").textContent =
    `${calledOf(from)} and ${calledOf(to)} differ in ${inEntries(entriesBetween(from, to))}. Of ${stops.length} places ` +
    `on the line between their codes VAE-${explored.vae.toUpperCase()} decodes ${grouped(met)} different ` +
    `${met === 1 ? "gate" : "gates"}.`;
  place("line").replaceChildren(
    plainTable(
      ["way", "gate", "entries from the first", "entries from the last"],
      stops.map(({ share, values }) => [
        percent(share, 0),
        gateButton(values, [values]),
        grouped(entriesBetween(from, values)),
        grouped(entriesBetween(values, to)),
      ]),
    ),
  );
}

// A search box: what it names is taken, or what is wrong with it said.
function searched(id, statusId, take) {
  place(id).addEventListener("change", () => {
    if (!place(id).value.trim()) return;
    const { values, trouble } = understood(place(id).value);
    place(statusId).textContent = trouble || "";
    place(statusId).classList.toggle("trouble", Boolean(trouble));
    if (!trouble) take(values);
  });
}
function setEnd(end, values) {
  explored[end] = values;
  place(end).value = calledOf(values);
  showLine();
}
function startExploring() {
  const smallest = Array.from({ length: space.entries }, (_, entry) => Math.min(...argumentsAt(entry))),
    largest = smallest.map((_, entry) => Math.max(...argumentsAt(entry))),
    named = Object.keys(data.names).map((index) => table(BigInt(index))),
    [first, second] = named.length > 1 ? named : [smallest, largest];
  for (const values of named) {
    place("named").append(gateButton(values, [values]));
    place("names").append(...namesOf(values).map((name) => make("option", null, { value: name })));
  }
  const random = make("button", "A random gate", { type: "button", id: "explore-random" });
  random.addEventListener("click", () => walkTo([randomGate()]));
  place("named").append(random);
  searched("find", "status", (values) => walkTo([values]));
  for (const end of ["from", "to"]) {
    searched(end, "line-status", (values) => setEnd(end, values));
    place(`${end}-shown`).addEventListener("click", () => setEnd(end, explored.walk.at(-1)));
  }
  place("vae").addEventListener("change", () => {
    explored.vae = place("vae").value;
    showNeighbours();
    showLine();
  });
  walkTo([first]);
  explored.to = second;
  setEnd("from", first);
  setEnd("to", second);
}
if (networks) startExploring();
