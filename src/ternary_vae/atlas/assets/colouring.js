// Colourings: each gives every gate one of a few classes, each with a name and a colour.
const RAMP = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"].map((colour) =>
  [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)),
);
function ramp(share) {
  const place = (isDark() ? 0.22 + 0.78 * share : 0.8 * share) * (RAMP.length - 1),
    at = Math.min(Math.floor(place), RAMP.length - 2);
  const parts = RAMP[at].map((part, channel) => Math.round(part + (RAMP[at + 1][channel] - part) * (place - at)));
  return `rgb(${parts.join(",")})`;
}
const onRamp = (names) => names.map((_, at) => ramp(names.length === 1 ? 0 : at / (names.length - 1)));

function byNumbers(values, name = grouped) {
  const different = [...new Set(values)].sort((one, other) => one - other),
    place = new Map(different.map((value, at) => [value, at]));
  const names = different.map(name);
  return { of: Uint16Array.from(values, (value) => place.get(value)), names, colours: onRamp(names) };
}
// Nine hues for two entries, three of a kind for the first; the third entry is lighter or darker.
function byPrefix(entries) {
  const names = [],
    colours = [];
  for (let prefix = 0; prefix < 3 ** entries; prefix++) {
    const digits = [0, 1, 2].map((at) => Math.floor(prefix / 3 ** at) % 3);
    names.push(
      digits
        .slice(0, entries)
        .map((digit) => sign(digit - 1))
        .join(" "),
    );
    const hue = [24, 150, 214][digits[0]] + (entries > 1 ? (digits[1] - 1) * 26 : 0),
      light = (isDark() ? 62 : 40) + (entries > 2 ? (digits[2] - 1) * 13 : 0);
    colours.push(`hsl(${hue} ${isDark() ? 70 : 75}% ${light}%)`);
  }
  return { of: Uint8Array.from({ length: COUNT }, (_, i) => i % 3 ** entries), names, colours };
}

const COLOURINGS = [
  {
    id: "home",
    group: "Model",
    label: "home VAE",
    caption: () => HOME_CAPTION,
    make: (side, c) => ({ of: home, names: HOMES, colours: [c.a, c.b, c.neither] }),
  },
  {
    id: "noise",
    group: "Model",
    label: `noise borne: exact at σ ${data.noise.sigma}`,
    caption: () =>
      `Share of ${data.noise.draws} draws of latent noise (σ = ${data.noise.sigma}) after which this VAE still decodes the gate exactly.`,
    make: (side) => ({
      ...byNumbers(side.exact, (exact) => percent(exact / data.noise.draws, 0)),
      isScale: true,
    }),
  },
  {
    id: "errors",
    group: "Model",
    label: "wrong entries",
    caption: () => "Entries that this VAE decodes wrongly from its own posterior mean, of nine.",
    make: (side) => byNumbers(side.errors, (value) => (value ? `${value} wrong` : "exact")),
  },
  {
    id: "neighbour",
    group: "Model",
    label: "nearest neighbour",
    caption: () => "Entries in which a gate differs from the one that lies nearest to it in this latent space.",
    make: (side) => byNumbers(side.neighbour, (value) => `${value} apart`),
  },
  ...[1, 2, 3].map((entries) => ({
    id: `prefix-${entries}`,
    group: "Index",
    label: `prefix: ${entries === 1 ? "first entry" : `first ${entries} entries`}`,
    caption: () =>
      `The last ${entries === 1 ? "digit" : `${entries} digits`} of the index to base 3: the answers for ${["(−, −)", "(−, −) and (−, 0)", "(−, −), (−, 0) and (−, +)"][entries - 1]}.`,
    make: () => byPrefix(entries),
  })),
  {
    id: "valuation",
    group: "Index",
    label: "3-adic valuation",
    caption: () =>
      "How often 3 divides the index: how many entries are −1 before the first that is not. Of index 0 it is infinite.",
    make: () =>
      byNumbers(
        Array.from({ length: COUNT }, (_, i) => valuation(i)),
        (value) => (value === 9 ? "∞" : `${value}`),
      ),
  },
  {
    id: "balance",
    group: "Index",
    label: "answers, false to true",
    caption: () => "Sum of the nine answers: −9 answers false everywhere, +9 true everywhere.",
    make: () => ({
      ...byNumbers(
        Array.from({ length: COUNT }, (_, i) => table(i).reduce((sum, value) => sum + value, 0)),
        (value) => `${value}`.replace("-", "−"),
      ),
      isScale: true,
    }),
  },
  ...classes.map((kind) => ({
    id: `class-${kind.name}`,
    group: "Class: how many gates are in it",
    label: kind.label,
    caption: () => `How many gates are in a gate's class: those that come of it by ${kind.description}.`,
    make: () => byNumbers(kind.sizes),
  })),
  ...properties.map((property) => ({
    id: `property-${property.name}`,
    group: "Property",
    label: property.label,
    caption: () => `${property.label}: ${property.description}.`,
    make: (side, c) =>
      property.yesOrNo
        ? {
            of: property.values.map((value) => 1 - value),
            names: ["yes", "no"],
            colours: [c.both, c.faint],
            front: 0,
          }
        : byNumbers(property.values),
  })),
];
