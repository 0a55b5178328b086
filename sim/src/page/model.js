// What the run is, which of it is shown, and where on the axis it stands.

const data = JSON.parse(document.getElementById('run').textContent);
const [AT, ORDINAL, HOST, KIND, MESSAGE, TEXT] = [0, 1, 2, 3, 4, 5];
const lines = data.lines;
const led = new Set(data.led);
const kindOf = line => data.kinds[line[KIND]];

const state = {
  scope: data.led.length ? 'story' : 'all',
  axis: 'event',
  hidden: new Set(),
  query: '',
  view: [0, 1],
  chosen: -1,
  allSkus: false,
};

// The lines that are shown, in order; and the place of each line among them, or -1.
let shown = [];
let places = new Int32Array(lines.length);
let shown_hosts = new Set();

// A message's ways: from the line that sent it to each line where it arrives or is lost, and from there back when an
// answer goes by the same number; `to` is -1 while it travels.
const ways = [];
const waysOf = new Map();
{
  const sent = new Map();
  const note = (line, way) => waysOf.set(line, [...(waysOf.get(line) ?? []), way]);
  lines.forEach((line, index) => {
    if (line[MESSAGE] < 0) return;
    const kind = kindOf(line);
    if (kind === 'sent') sent.set(line[MESSAGE], { from: index, there: -1, ended: false });
    const start = sent.get(line[MESSAGE]);
    if (!start || (kind !== 'delivered' && kind !== 'lost')) return;
    start.ended = true;
    const home = line[HOST] === lines[start.from][HOST];
    const back = start.there >= 0 && (home || kind === 'lost');
    const way = { from: back ? start.there : start.from, to: index, lost: kind === 'lost' };
    if (!home && kind === 'delivered') start.there = index;
    ways.push(way);
    note(way.from, way);
    note(way.to, way);
  });
  for (const start of sent.values()) {
    if (start.ended) continue;
    const way = { from: start.from, to: -1, lost: false };
    ways.push(way);
    note(way.from, way);
  }
}

function choose_shown() {
  const query = state.query.toLowerCase();
  shown = [];
  places.fill(-1);
  lines.forEach((line, index) => {
    if (state.scope === 'story' && !led.has(index)) return;
    if (state.hidden.has(line[HOST])) return;
    if (query && !`${line[TEXT]} m${line[MESSAGE]}`.toLowerCase().includes(query)) return;
    places[index] = shown.length;
    shown.push(index);
  });
  shown_hosts = new Set(shown.map(index => lines[index][HOST]));
}

// The first place whose line is later than `time`.
function place_after(time) {
  let [low, high] = [0, shown.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[shown[middle]][AT] <= time) low = middle + 1; else high = middle;
  }
  return low;
}

// Where a moment stands on the axis.
function at_time(time) {
  if (state.axis === 'time') return time;
  if (!shown.length) return 0;
  const next = place_after(time);
  if (next === 0) return 0;
  if (next === shown.length) return time > lines[shown[next - 1]][AT] ? shown.length : next - 0.5;
  const [before, after] = [lines[shown[next - 1]][AT], lines[shown[next]][AT]];
  return next - 0.5 + (time - before) / (after - before);
}

// The moment at a place of the axis, or one shortly before it.
function time_at(place) {
  if (state.axis === 'time' || !shown.length) return place;
  return lines[shown[Math.min(Math.max(Math.floor(place) - 1, 0), shown.length - 1)]][AT];
}

// Where a shown line stands on the axis.
function at_line(index) {
  return state.axis === 'time' ? lines[index][AT] : places[index] + 0.5;
}

function extent() {
  if (state.axis === 'event') {
    const room = Math.max(1.5, shown.length * 0.03);
    return [-room / 3, Math.max(shown.length, 1) + room];
  }
  if (!shown.length) return [0, Math.max(data.ended_us, 1)];
  const [first, last] = [lines[shown[0]][AT], lines[shown[shown.length - 1]][AT]];
  const edge = Math.max((last - first) * 0.02, 1);
  return [first - edge, last + edge];
}

// The shown places that stand within the view, and one more on either side.
function places_in_view() {
  const [from, until] = state.view;
  const clamp = place => Math.min(Math.max(place, 0), shown.length);
  if (state.axis === 'event') return [clamp(Math.floor(from) - 1), clamp(Math.ceil(until) + 1)];
  return [clamp(place_after(from - 1) - 1), clamp(place_after(until) + 1)];
}

function set_view(from, until) {
  const [first, last] = extent();
  const least = state.axis === 'event' ? Math.min(6, last - first) : Math.min(50, last - first);
  const width = Math.min(Math.max(until - from, least), last - first);
  const start = Math.min(Math.max(from, first), last - width);
  state.view = [start, start + width];
}

function zoom(factor, around) {
  const [from, until] = state.view;
  const middle = around ?? (from + until) / 2;
  set_view(middle - (middle - from) * factor, middle + (until - middle) * factor);
}

// Wide enough to read, and with the violation in it.
function first_view() {
  const [first, last] = extent();
  const most = 160;
  if (state.axis === 'time' || last - first <= most) { set_view(first, last); return; }
  const target = state.chosen >= 0 && places[state.chosen] >= 0 ? at_line(state.chosen) : last;
  const before = data.violation ? 0.9 : 0.2;
  set_view(target - most * before, target + most * (1 - before));
}

const grouped = number => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
const milliseconds = time => `${grouped(Math.floor(time / 1000))}.${String(time % 1000).padStart(3, '0')}`;

// Short, for the axis: as exact as the distance of two ticks asks for.
function clock(time, distance) {
  if (time < 0) return '';
  const total = data.ended_us;
  if (total < 10e6) return `${(time / 1e3).toFixed(distance < 1e3 ? 2 : distance < 1e4 ? 1 : 0)} ms`;
  if (total < 600e6) return `${(time / 1e6).toFixed(distance < 1e5 ? 3 : distance < 1e6 ? 2 : 1)} s`;
  const seconds = Math.floor(time / 1e6);
  const two = number => String(number).padStart(2, '0');
  const rest = distance < 1e6 ? `.${String(Math.floor(time / 1e3) % 1000).padStart(3, '0')}` : '';
  const days = Math.floor(seconds / 86400);
  return `${days ? `${days}d ` : ''}${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${rest}`;
}
