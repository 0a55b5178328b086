// The controls: keys, pointers, buttons; and the words around the picture.

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw_overview();
    draw_lanes();
    draw_stocks();
    draw_list();
    draw_detail();
  });
}

function refilter() {
  const [first, last] = extent();
  const whole = state.view[0] <= first && state.view[1] >= last;
  choose_shown();
  if (whole) set_view(...extent()); else first_view();
  press_buttons();
  follow();
  redraw();
}

function choose(index, centre) {
  if (index < 0 || index >= lines.length || places[index] < 0) return;
  state.chosen = index;
  const at = at_line(index);
  const [from, until] = state.view;
  const edge = (until - from) * 0.04;
  if (centre || at < from + edge || at > until - edge) set_view(at - (until - from) / 2, at + (until - from) / 2);
  follow();
  redraw();
}

// The next shown line in a direction that is wanted.
function step(direction, wanted) {
  let place = state.chosen >= 0 && places[state.chosen] >= 0 ? places[state.chosen] + direction : direction > 0 ? 0 : shown.length - 1;
  while (place >= 0 && place < shown.length && !wanted(shown[place])) place += direction;
  if (place >= 0 && place < shown.length) choose(shown[place]);
}

function to_violation() {
  const last = violated_line >= 0 ? violated_line : data.led[data.led.length - 1] ?? lines.length - 1;
  choose(places[last] >= 0 ? last : shown[shown.length - 1] ?? -1, true);
}

document.addEventListener('keydown', event => {
  if (event.target.matches('input') || event.ctrlKey || event.metaKey || event.altKey) return;
  const any = index => !event.shiftKey || !led.size || led.has(index);
  const host = state.chosen >= 0 ? lines[state.chosen][HOST] : -1;
  const same = index => (host < 0 || lines[index][HOST] === host) && any(index);
  const keys = {
    ArrowRight: () => step(1, any), ArrowLeft: () => step(-1, any),
    ArrowDown: () => step(1, same), ArrowUp: () => step(-1, same),
    Home: () => choose(shown[0] ?? -1), End: () => choose(shown[shown.length - 1] ?? -1),
    '+': () => zoom_around(0.6), '=': () => zoom_around(0.6), '-': () => zoom_around(1.7), '0': fit,
    v: to_violation, V: to_violation,
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

function zoom_around(factor) {
  const place = chosen_place();
  const [from, until] = state.view;
  zoom(factor, place !== null && place >= from && place <= until ? place : undefined);
  redraw();
}

function fit() { set_view(...extent()); redraw(); }

function set_scope(scope) { state.scope = scope; refilter(); }
function set_axis(axis) { state.axis = axis; set_view(...extent()); first_view(); press_buttons(); redraw(); }

function press_buttons() {
  for (const name of ['scope', 'axis']) {
    for (const button of document.querySelectorAll(`[data-${name}]`)) button.setAttribute('aria-pressed', button.dataset[name] === state[name]);
  }
  document.querySelector('[data-scope=story]').disabled = !data.led.length;
  for (const button of document.querySelectorAll('#hosts button')) button.setAttribute('aria-pressed', !state.hidden.has(Number(button.dataset.host)));
}

for (const button of document.querySelectorAll('[data-scope]')) button.onclick = () => set_scope(button.dataset.scope);
for (const button of document.querySelectorAll('[data-axis]')) button.onclick = () => set_axis(button.dataset.axis);
document.getElementById('in').onclick = () => zoom_around(0.6);
document.getElementById('out').onclick = () => zoom_around(1.7);
document.getElementById('fit').onclick = fit;
document.getElementById('more').onclick = () => { state.allSkus = !state.allSkus; redraw(); };
document.getElementById('query').oninput = event => { state.query = event.target.value.trim(); refilter(); };
list.onscroll = () => draw_list();
rows.onclick = event => choose(Number(event.target.closest('.row')?.dataset.line ?? -1));
addEventListener('resize', redraw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { read_colours(); draw_legend(); redraw(); });

// The shown line next to a point of the lanes.
function nearest(x, y) {
  if (!geometry) return -1;
  let [best, least] = [-1, 24];
  const [first, last] = places_in_view();
  for (let place = first; place < last; place += 1) {
    const index = shown[place];
    if (!geometry.row.has(lines[index][HOST])) continue;
    const distance = Math.hypot(geometry.scale.to_x(at_line(index)) - x, (geometry.lane_y(lines[index][HOST]) - y) * 0.7);
    if (distance < least) [best, least] = [index, distance];
  }
  return best;
}

const pointers = new Map();
let moved = 0;
for (const id of ['lanes', 'stocks']) {
  const canvas = document.getElementById(id);
  canvas.addEventListener('wheel', event => {
    // With Shift or sideways it moves, with Ctrl (and a pinch) it zooms; plain, the page scrolls.
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    const [from, until] = state.view;
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY * 0.004), across(canvas.clientWidth).from_x(event.offsetX));
    else if (Math.abs(sideways) > 1) set_view(from + sideways * (until - from) * 0.001, until + sideways * (until - from) * 0.001);
    else return;
    event.preventDefault();
    redraw();
  }, { passive: false });
  canvas.addEventListener('pointerdown', event => { pointers.set(event.pointerId, event.offsetX); moved = 0; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener('pointermove', event => drag(canvas, event));
  canvas.addEventListener('pointercancel', event => pointers.delete(event.pointerId));
  canvas.addEventListener('pointerup', event => {
    pointers.delete(event.pointerId);
    if (moved < 5 && id === 'lanes') choose(nearest(event.offsetX, event.offsetY));
  });
  canvas.addEventListener('pointerleave', hide_tip);
  canvas.addEventListener('dblclick', event => { zoom(0.4, across(canvas.clientWidth).from_x(event.offsetX)); redraw(); });
}

// One pointer moves the view, two stretch it, none asks what is there.
function drag(canvas, event) {
  if (!pointers.has(event.pointerId)) { if (canvas.id === 'lanes') show_tip(event); return; }
  hide_tip();
  const before = [...pointers.values()];
  const scale = across(canvas.clientWidth);
  const distance = event.offsetX - pointers.get(event.pointerId);
  moved += Math.abs(distance);
  pointers.set(event.pointerId, event.offsetX);
  const after = [...pointers.values()];
  if (after.length === 2) {
    const wide = Math.abs(after[0] - after[1]) || 1;
    zoom((Math.abs(before[0] - before[1]) || 1) / wide, scale.from_x((after[0] + after[1]) / 2));
  } else {
    const shift = (distance / (scale.right - scale.left)) * (state.view[1] - state.view[0]);
    set_view(state.view[0] - shift, state.view[1] - shift);
  }
  redraw();
}

const tip = document.getElementById('tip');
function hide_tip() { tip.hidden = true; }
function show_tip(event) {
  const index = event.pointerType === 'mouse' ? nearest(event.offsetX, event.offsetY) : -1;
  if (index < 0) { hide_tip(); return; }
  const line = lines[index];
  const head = document.createElement('small');
  head.textContent = `${milliseconds(line[AT])} ms · ${data.hosts[line[HOST]]} · ${kindOf(line)}`;
  tip.replaceChildren(head, document.createTextNode(line[TEXT]));
  tip.hidden = false;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
}

// The overview: where it is pressed, the view goes.
{
  const canvas = document.getElementById('overview');
  const go = event => {
    if (event.buttons !== 1) return;
    const [first, last] = extent();
    const place = first + ((event.offsetX - gutter()) / (canvas.clientWidth - gutter() - 10)) * (last - first);
    const half = (state.view[1] - state.view[0]) / 2;
    set_view(place - half, place + half);
    redraw();
  };
  canvas.addEventListener('pointerdown', event => { canvas.setPointerCapture(event.pointerId); go(event); });
  canvas.addEventListener('pointermove', go);
}

function add(parent, tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  parent.append(node);
  return node;
}

function write_words() {
  const broken = data.violation;
  const say = (id, text) => { document.getElementById(id).textContent = text; };
  document.getElementById('verdict').dataset.state = broken ? 'red' : 'green';
  say('badge', broken ? broken.id : '✓');
  say('promise', broken ? `Broken promise: ${broken.promise}` : 'Nothing is violated');
  say('what', [broken ? `${broken.what} (at ${milliseconds(broken.at_us)} ms)` : '', data.story].filter(Boolean).join(' — '));
  const facts = document.getElementById('facts');
  const seconds = data.ended_us / 1e6;
  for (const [name, value, code] of [['seed', data.seed], ['world', data.world], ['events', grouped(data.events) + (data.left_out ? `, the first ${grouped(data.left_out)} lines are left out` : '')], ['simulated', seconds < 600 ? `${seconds.toFixed(3)} s` : clock(data.ended_us, 1e9)], ['hash', data.hash, true], ['again', data.command, true]]) {
    const group = add(facts, 'div');
    add(group, 'dt', name);
    add(add(group, 'dd'), code ? 'code' : 'span', String(value));
  }
  const hosts = document.getElementById('hosts');
  data.hosts.forEach((name, host) => {
    const button = add(hosts, 'button', name);
    button.type = 'button';
    button.dataset.host = host;
    button.title = 'Click to hide or show; double click for this host alone';
    button.onclick = () => { if (!state.hidden.delete(host)) state.hidden.add(host); refilter(); };
    button.ondblclick = () => { state.hidden = new Set(data.hosts.map((_, other) => other).filter(other => other !== host)); refilter(); };
  });
  write_tables();
}

function write_tables() {
  const table = (id, heads, rows) => {
    const node = document.getElementById(id);
    const top = add(node, 'tr');
    heads.forEach(([text, name]) => add(top, 'th', text, name));
    for (const row of rows) {
      const line = add(node, 'tr', undefined, row[3] === 0 ? 'idle' : '');
      row.forEach((cell, column) => add(line, 'td', typeof cell === 'number' ? grouped(cell) : cell, heads[column][1]));
    }
  };
  table('faults', [['fault'], ['what'], ['injected', 'n'], ['effective', 'n']], data.faults);
  table('counts', [['buyers got'], ['times', 'n']], Object.entries(data.counts));
}

// Drawn by the same pen as the picture's own signs.
function draw_legend() {
  const legend = document.getElementById('legend');
  const stock = document.getElementById('stock-legend');
  legend.replaceChildren();
  stock.replaceChildren();
  const sign = (text, body) => { const item = add(legend, 'li'); item.innerHTML = `<svg aria-hidden="true" viewBox="0 0 22 14">${body}</svg>`; item.append(text); };
  const p = paint;
  sign('message', `<path d="M1 3 L17 10" stroke="${p.message}" stroke-width="1.5"/><path d="M21 12 L13.5 12 L16.5 5.5 Z" fill="${p.message}"/>`);
  sign('lost message', `<path d="M1 2 L12 8" stroke="${p.lost}" stroke-width="1.5" stroke-dasharray="4 2"/><path d="M9 4 l8 8 m0 -8 l-8 8" stroke="${p.lost}" stroke-width="2"/>`);
  sign('buyer or operator', `<circle cx="11" cy="7" r="4.5" fill="none" stroke="${p.client}" stroke-width="1.6"/>`);
  sign('step', `<circle cx="11" cy="7" r="4" fill="${p.step}"/>`);
  sign('commit', `<rect x="6.5" y="2.5" width="9" height="9" fill="${p.committed}"/>`);
  sign('fault begins', `<path d="M5 3 h12 l-6 9 Z" fill="${p.fault}"/>`);
  sign('fault ends', `<path d="M5 11 h12 l-6 -9 Z" fill="none" stroke="${p.fault}" stroke-width="1.5"/>`);
  sign('time under a fault', `<rect x="0" y="0" width="22" height="14" fill="${p.band}" opacity=".25"/><rect x="0" y="0" width="22" height="2" fill="${p.band}"/>`);
  sign('violation', `<path d="M11 0 l7 7 l-7 7 l-7 -7 Z" fill="${p.violated}"/>`);
  for (const [text, name] of [['available', 'available'], ['held by unpaid orders', 'held'], ['sold', 'sold'], ['more than there is', 'over'], ['opened with', 'total']]) {
    const item = add(stock, 'li');
    const mark = add(item, 'i', undefined, name === 'total' ? 'total' : '');
    if (name !== 'total') mark.style.background = p[name];
    item.append(text);
  }
}

read_colours();
write_words();
draw_legend();
// What is shown first can be asked for behind a #: all, time, dark names of hosts are not kept.
const wishes = location.hash.slice(1).split(',');
if (wishes.includes('all')) state.scope = 'all';
if (wishes.includes('time')) state.axis = 'time';
choose_shown();
state.view = extent();
// A green run begins with its first buyer, a red one with its end.
if (data.violation) to_violation(); else choose(Math.max(lines.findIndex(line => kindOf(line) === 'client'), 0));
first_view();
press_buttons();
redraw();
follow();
requestAnimationFrame(() => { document.body.dataset.ready = String(lines.length); });
