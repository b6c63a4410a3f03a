// The map: a canvas that shows every gate on two principal components.
const state = {
  vae: "a",
  colouring: "home",
  plane: [0, 1],
  chosen: null,
  hidden: new Set(), // classes of the colouring
  lit: null, // {indices, members, label}: the others are faint
  walk: null, // {from, to, stops, place}
};
const canvas = document.getElementById("map-canvas"),
  context = canvas.getContext("2d");
const camera = { x: 0, y: 0, zoom: 1 };
const shown = { x: new Float32Array(COUNT), y: new Float32Array(COUNT) }; // where gates are drawn, in units of the space
const MOST_ZOOM = 400;
const GLYPHS = 240; // so many gates, or fewer, are drawn as truth tables
let size = { width: 0, height: 0, ratio: 1 },
  reach = { x: 1, y: 1 }, // how far gates lie from the centre
  colouring = null,
  hovered = null;

const palette = () => ({ ...colours(), faint: getComputedStyle(root).getPropertyValue("--faint").trim() });
const side = () => vaes[state.vae];

const ORDER = inRandomOrder(COUNT);

const isShown = (index) => !state.hidden.has(colouring.of[index]);
const scale = () => 0.47 * camera.zoom * Math.min(size.width / reach.x, size.height / reach.y);
const onScreen = (x, y) => [size.width / 2 + (x - camera.x) * scale(), size.height / 2 - (y - camera.y) * scale()];
function fromScreen(x, y) {
  return [camera.x + (x - size.width / 2) / scale(), camera.y - (y - size.height / 2) / scale()];
}

let moves = 0;
function placeGates(animated) {
  const [across, up] = state.plane.map((at) => side().components[at]);
  const furthest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  reach = { x: furthest(across), y: furthest(up) };
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!animated || still) {
    moves++;
    shown.x.set(across);
    shown.y.set(up);
    paintSoon();
    return;
  }
  const before = { x: shown.x.slice(), y: shown.y.slice() },
    started = performance.now(),
    move = ++moves;
  const step = (now) => {
    if (move !== moves) return; // another move has begun
    const share = Math.min(1, (now - started) / 600),
      eased = share * share * (3 - 2 * share);
    for (let i = 0; i < COUNT; i++) {
      shown.x[i] = before.x[i] + (across[i] - before.x[i]) * eased;
      shown.y[i] = before.y[i] + (up[i] - before.y[i]) * eased;
    }
    paint();
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

let waiting = false;
function paintSoon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paint();
  });
}
function sprite(colour, radius) {
  const one = document.createElement("canvas"),
    pixels = Math.ceil(2 * radius * size.ratio) + 2;
  one.width = one.height = pixels;
  const drawn = one.getContext("2d");
  drawn.fillStyle = colour;
  drawn.beginPath();
  drawn.arc(pixels / 2, pixels / 2, radius * size.ratio, 0, 2 * Math.PI);
  drawn.fill();
  return one;
}
function paint() {
  if (!colouring) return;
  const c = palette(),
    { width, height, ratio } = size;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const k = scale(),
    across = width / 2 - camera.x * k,
    down = height / 2 + camera.y * k;
  const radius = Math.min(5, (width < 560 ? 1.3 : 1.7) * camera.zoom ** 0.35);
  const visible = [];
  const lit = state.lit?.members,
    front = colouring.front;
  const sprites = colouring.colours.map((colour) => sprite(colour, radius)),
    large = lit && colouring.colours.map((colour) => sprite(colour, radius + 1.5));
  const stamp = (i, alpha, among = sprites) => {
    const x = across + shown.x[i] * k,
      y = down - shown.y[i] * k;
    if (x < -20 || y < -20 || x > width + 20 || y > height + 20) return;
    const one = among[colouring.of[i]],
      extent = one.width / ratio;
    context.globalAlpha = alpha;
    context.drawImage(one, x - extent / 2, y - extent / 2, extent, extent);
    visible.push(i);
  };
  const later = [];
  for (const i of ORDER) {
    if (!isShown(i)) continue;
    if ((lit && lit[i]) || (!lit && front !== undefined && colouring.of[i] === front)) later.push(i);
    else stamp(i, lit ? 0.1 : 0.85);
  }
  for (const i of later) stamp(i, 1, large || sprites);
  context.globalAlpha = 1;
  const near = visible.filter((i) => !lit || lit[i]);
  if (near.length <= GLYPHS && camera.zoom > 4)
    for (const i of near) paintGlyph(i, across + shown.x[i] * k, down - shown.y[i] * k, c);
  paintWalk(c);
  paintNames(c, visible);
  if (hovered !== null) ring(hovered, c.quiet, 7, 1.5);
  if (state.chosen !== null) ring(state.chosen, c.ink, 9, 2.5);
}
function ring(index, colour, radius, width) {
  const [x, y] = onScreen(shown.x[index], shown.y[index]);
  context.strokeStyle = palette().surface;
  context.lineWidth = width + 3;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}
function paintGlyph(index, x, y, c) {
  const cell = 5,
    fills = { "-1": c.a, 0: c.grid, 1: c.b };
  context.fillStyle = colouring.colours[colouring.of[index]];
  context.fillRect(x - 1.5 * cell - 2, y - 1.5 * cell - 2, 3 * cell + 4, 3 * cell + 4);
  context.fillStyle = c.surface;
  context.fillRect(x - 1.5 * cell - 1, y - 1.5 * cell - 1, 3 * cell + 2, 3 * cell + 2);
  table(index).forEach((value, at) => {
    context.fillStyle = fills[value];
    context.fillRect(x + ((at % 3) - 1.5) * cell, y + (Math.floor(at / 3) - 1.5) * cell, cell - 0.5, cell - 0.5);
  });
}
const NAMED = Object.keys(data.names).map(Number);
// Names where there is room, the chosen gate's first.
function paintNames(c, visible) {
  const all = document.getElementById("names").checked ? NAMED : [],
    among = new Set(visible),
    taken = [];
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const index of new Set([...(state.chosen === null ? [] : [state.chosen]), ...all])) {
    if (!among.has(index) || (index !== state.chosen && state.lit && !state.lit.members[index])) continue;
    const [x, y] = onScreen(shown.x[index], shown.y[index]);
    context.strokeStyle = c.ink;
    context.lineWidth = 1.4;
    if (index !== state.chosen) context.strokeRect(x - 3, y - 3, 6, 6);
    const text = shortTitle(index),
      wide = context.measureText(text).width,
      gap = index === state.chosen ? 14 : 8;
    const left = x + gap + wide > size.width ? x - gap - wide : x + gap;
    const box = [left, y - 8, left + wide, y + 8];
    if (taken.some((one) => one[0] < box[2] && box[0] < one[2] && one[1] < box[3] && box[1] < one[3])) continue;
    taken.push(box);
    context.strokeStyle = c.surface;
    context.lineWidth = 4;
    context.strokeText(text, left, y);
    context.fillStyle = c.ink;
    context.fillText(text, left, y);
  }
}
function paintWalk(c) {
  if (!state.walk?.stops) return;
  const at = (share) => {
    const point = project(side(), onTheWay(side(), state.walk.from, state.walk.to, share));
    return onScreen(point[state.plane[0]], point[state.plane[1]]);
  };
  context.lineCap = "round";
  for (const [colour, width] of [
    [c.surface, 6],
    [c.mark, 2.5],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(...at(0));
    context.lineTo(...at(1));
    context.stroke();
  }
  for (const { start, end } of state.walk.stops) {
    const [x, y] = at(start === 0 ? 0 : end === 1 ? 1 : (start + end) / 2);
    context.fillStyle = c.surface;
    context.strokeStyle = c.mark;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
  const [x, y] = at(state.walk.place);
  context.fillStyle = c.mark;
  context.beginPath();
  context.arc(x, y, 6, 0, 2 * Math.PI);
  context.fill();
}

function fit() {
  const box = canvas.getBoundingClientRect();
  size = { width: box.width, height: box.height, ratio: Math.min(devicePixelRatio || 1, 2) };
  canvas.width = Math.round(size.width * size.ratio);
  canvas.height = Math.round(size.height * size.ratio);
  paint();
}
function wholeMap() {
  Object.assign(camera, { x: 0, y: 0, zoom: 1 });
  paintSoon();
}
// Zooms so that what lies under a point of the screen stays there.
function zoomAt(factor, x = size.width / 2, y = size.height / 2) {
  const [worldX, worldY] = fromScreen(x, y);
  camera.zoom = Math.min(MOST_ZOOM, Math.max(0.6, camera.zoom * factor));
  const [newX, newY] = fromScreen(x, y);
  camera.x += worldX - newX;
  camera.y += worldY - newY;
  paintSoon();
}
function zoomAtChosen(factor) {
  bringIntoView(state.chosen);
  zoomAt(factor, ...onScreen(shown.x[state.chosen], shown.y[state.chosen]));
}
function panBy(dx, dy) {
  const k = scale();
  camera.x = Math.max(-reach.x, Math.min(reach.x, camera.x - dx / k));
  camera.y = Math.max(-reach.y, Math.min(reach.y, camera.y + dy / k));
  paintSoon();
}
function bringIntoView(index) {
  const [x, y] = onScreen(shown.x[index], shown.y[index]);
  if (x < 24 || y < 24 || x > size.width - 24 || y > size.height - 24) {
    camera.x = shown.x[index];
    camera.y = shown.y[index];
  }
  paintSoon();
}
