// The lanes: hosts, what they did, the messages between them, and the faults that hit them.

const paint = {};
function read_colours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['ground', 'surface', 'ink', 'soft', 'hair', 'lane', 'message', 'step', 'client', 'committed', 'fault', 'band', 'lost', 'violated', 'chosen', 'sold', 'held', 'available', 'over']) {
    paint[name] = style.getPropertyValue(`--${name}`).trim();
  }
}
const colours = { step: 'step', sent: 'message', delivered: 'message', lost: 'lost', client: 'client', committed: 'committed', struck: 'fault', healed: 'fault', VIOLATED: 'violated' };
const FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
const AXIS = 26;
const BANDS_MAX = 3;

const narrow = () => innerWidth <= 600;
const gutter = () => (narrow() ? 76 : 116);

// A canvas with its own dots, whatever the screen's.
function sheet(canvas, height) {
  const width = canvas.parentElement.clientWidth;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

function across(width) {
  const [from, until] = state.view;
  const left = gutter();
  const size = width - left - 10;
  const to_x = place => left + ((place - from) / (until - from)) * size;
  const from_x = x => from + ((x - left) / size) * (until - from);
  return { to_x, from_x, left, right: left + size, per_event: size / Math.max(until - from, 1e-9) };
}

// In the story only hosts that have a part in it.
const lane_hosts = () => data.hosts.map((_, host) => host).filter(host => !state.hidden.has(host) && (state.scope === 'all' || shown_hosts.has(host)));
function lane_height() {
  const count = lane_hosts().length;
  return narrow() ? 44 : count > 14 ? 36 : count > 8 ? 46 : count > 5 ? 58 : 72;
}

let geometry = null;

function draw_lanes() {
  const canvas = document.getElementById('lanes');
  const hosts = lane_hosts();
  const height = lane_height();
  const total = AXIS + Math.max(hosts.length, 1) * height + 8;
  const { pen, width } = sheet(canvas, total);
  const scale = across(width);
  const row = new Map(hosts.map((host, index) => [host, index]));
  const lane_y = host => AXIS + row.get(host) * height + height * 0.62;
  geometry = { scale, lane_y, row, height };
  hosts.forEach((host, index) => {
    const y = AXIS + index * height;
    if (index % 2 === 0) { pen.fillStyle = paint.lane; pen.globalAlpha = 0.55; pen.fillRect(0, y, width, height); pen.globalAlpha = 1; }
    pen.strokeStyle = paint.hair;
    line_between(pen, scale.left, lane_y(host), scale.right, lane_y(host));
    pen.fillStyle = paint.ink;
    pen.font = `600 ${narrow() ? 11 : 13}px ${FONT}`;
    pen.textBaseline = 'middle';
    pen.fillText(fitting(pen, data.hosts[host], scale.left - 14), 10, lane_y(host));
  });
  draw_axis(pen, scale, total);
  pen.save();
  pen.beginPath();
  pen.rect(scale.left, 0, scale.right - scale.left + 6, total);
  pen.clip();
  draw_bands(pen, scale, row, height);
  draw_ways(pen, scale, lane_y, row);
  draw_events(pen, scale, lane_y, row);
  draw_moments(pen, scale, total, lane_y);
  pen.restore();
}

function line_between(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

function fitting(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}

// Ticks some 110 dots apart: round moments by time, or the moments of evenly spaced events.
function draw_axis(pen, scale, total) {
  pen.font = `11px ${FONT}`;
  pen.textBaseline = 'middle';
  pen.lineWidth = 1;
  pen.fillStyle = paint.soft;
  const [from, until] = state.view;
  const wanted = Math.max(Math.floor((scale.right - scale.left) / 110), 1);
  const ticks = [];
  let distance = (until - from) / wanted;
  if (state.axis === 'time') {
    const power = 10 ** Math.floor(Math.log10(distance));
    distance = [1, 2, 5, 10].map(step => step * power).find(step => step >= distance);
    for (let at = Math.ceil(from / distance) * distance; at <= until; at += distance) ticks.push([at, clock(Math.round(at), distance)]);
  } else if (shown.length) {
    const step = Math.max(Math.ceil(distance), 1);
    for (let place = Math.ceil(from / step) * step; place < until && place < shown.length; place += step) {
      if (place >= 0) ticks.push([place + 0.5, clock(lines[shown[place]][AT], 1e3)]);
    }
  }
  pen.fillText(state.axis === 'time' || narrow() ? 'time' : 'time, by event', 10, AXIS / 2);
  const pill = data.violation ? scale.to_x(violated_place()) : -1e3;
  for (const [at, text] of ticks) {
    const x = scale.to_x(at);
    if (x < scale.left || x > scale.right - 20) continue;
    pen.strokeStyle = paint.hair;
    line_between(pen, x, AXIS - 6, x, total);
    if (x + 70 < pill || x > pill + 20) pen.fillText(text, x + 4, AXIS / 2);
  }
}

// A fault is a band on each lane that it hits; bands that overlap stand below each other.
function draw_bands(pen, scale, row, height) {
  const taken = new Map();
  const labels = [];
  const begin = shown.length ? lines[shown[0]][AT] : 0;
  for (const band of data.strikes) {
    // By event there is no room before the first line and behind the last one.
    if (band.from_us > data.ended_us || (state.axis === 'event' && band.until_us < begin)) continue;
    const from = scale.to_x(at_time(band.from_us));
    const until = Math.max(scale.to_x(at_time(band.until_us)), from + 3);
    if (until < scale.left - 2 || from > scale.right + 2) continue;
    const hit = band.hosts.length ? band.hosts : [...row.keys()];
    for (const host of hit.filter(host => row.has(host))) {
      const ends = taken.get(host) ?? [];
      const free = ends.findIndex(end => end <= from);
      const slot = free >= 0 ? free : Math.min(ends.length, BANDS_MAX - 1);
      ends[slot] = Math.max(until, from + 30);
      taken.set(host, ends);
      const [left, right] = [Math.max(from, scale.left - 4), Math.min(until, scale.right + 8)];
      const top = AXIS + row.get(host) * height;
      const aimed = band.hosts.length > 0;
      draw_band(pen, left, right, top, height, slot, aimed);
      if (aimed || host === hit[0]) labels.push({ band, host, slot, left: left + 5, top: top + 9 + slot * 14 });
    }
  }
  if (height >= 36) draw_band_words(pen, labels, scale);
}

// A label may run on behind its band, up to the next one's.
function draw_band_words(pen, labels, scale) {
  pen.font = `11px ${FONT}`;
  pen.textBaseline = 'middle';
  pen.lineJoin = 'round';
  labels.sort((one, other) => one.left - other.left);
  labels.forEach((label, index) => {
    const next = labels.slice(index + 1).find(other => other.host === label.host && other.slot === label.slot);
    const room = (next ? next.left - 8 : scale.right + 4) - label.left;
    const words = [`${label.band.fault} ${label.band.title}`, label.band.fault].find(text => pen.measureText(text).width <= room);
    if (!words) return;
    pen.strokeStyle = paint.surface;
    pen.lineWidth = 3;
    pen.globalAlpha = 0.8;
    pen.strokeText(words, label.left, label.top);
    pen.globalAlpha = 1;
    pen.fillStyle = paint.fault;
    pen.fillText(words, label.left, label.top);
  });
  pen.lineWidth = 1;
}

function draw_band(pen, from, until, top, height, slot, aimed) {
  pen.fillStyle = paint.band;
  pen.globalAlpha = aimed ? 0.17 : 0.07;
  pen.fillRect(from, top, until - from, height);
  pen.globalAlpha = aimed ? 0.9 : 0.35;
  pen.fillRect(from, top + 1 + slot * 14, until - from, 2);
  pen.fillRect(from, top, 1.5, height);
  pen.globalAlpha = 1;
}

const faded = index => data.led.length > 0 && state.scope === 'all' && !led.has(index);

function draw_ways(pen, scale, lane_y, row) {
  const [first, last] = places_in_view();
  const busy = last - first > 4000;
  const seen = new Set();
  const draw = way => {
    if (places[way.from] < 0 || (way.to >= 0 && places[way.to] < 0)) return;
    if (busy && repeats(seen, way, scale)) return;
    draw_way(pen, way, scale, lane_y, row, busy);
  };
  for (let place = first; place < last; place += 1) {
    const index = shown[place];
    for (const way of waysOf.get(index) ?? []) {
      // Each once: at its end, or at its beginning when the end is beyond the view.
      if (way.to === index || way.to < 0 || places[way.to] >= last) draw(way);
    }
  }
}

// Of thousands of arrows many cover the same dots: one of them is enough.
function repeats(seen, way, scale) {
  const ends = [way.from, Math.max(way.to, way.from)].map(index => Math.round(scale.to_x(at_line(index)) / 2) * 64 + lines[index][HOST]);
  const key = `${ends}${way.lost}`;
  return seen.size === seen.add(key).size;
}

function draw_way(pen, way, scale, lane_y, row, busy) {
  const from = lines[way.from];
  const x1 = scale.to_x(at_line(way.from));
  const y1 = lane_y(from[HOST]);
  const bright = !faded(way.from);
  pen.globalAlpha = busy ? 0.12 : bright ? 0.9 : 0.22;
  pen.lineWidth = led.has(way.from) && !busy ? 1.8 : 1.1;
  pen.strokeStyle = pen.fillStyle = way.lost ? paint.lost : paint.message;
  if (way.to < 0) {
    pen.setLineDash([2, 3]);
    line_between(pen, x1, y1, x1 + 16, y1 + 12);
    pen.setLineDash([]);
  } else if (way.lost) {
    draw_lost(pen, way, x1, y1, scale, lane_y, row);
  } else {
    const x2 = scale.to_x(at_line(way.to));
    const y2 = lane_y(lines[way.to][HOST]);
    if (y1 === y2) loop(pen, x1, x2, y1, busy); else arrow(pen, x1, y1, x2, y2, busy);
  }
  pen.globalAlpha = 1;
}

function arrow(pen, x1, y1, x2, y2, busy) {
  line_between(pen, x1, y1, x2, y2);
  if (busy) return;
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const tip = [x2 - 4 * Math.cos(angle), y2 - 4 * Math.sin(angle)];
  pen.beginPath();
  pen.moveTo(...tip);
  for (const side of [-0.42, 0.42]) pen.lineTo(tip[0] - 8 * Math.cos(angle + side), tip[1] - 8 * Math.sin(angle + side));
  pen.fill();
}

// A message to itself.
function loop(pen, x1, x2, y, busy) {
  pen.beginPath();
  pen.moveTo(x1, y);
  pen.quadraticCurveTo((x1 + x2) / 2, y - 22, x2, y);
  pen.stroke();
  if (!busy) arrow(pen, x2 - 1, y - 2, x2, y, false);
}

// Broken off on its way, towards the host that never saw it.
function draw_lost(pen, way, x1, y1, scale, lane_y, row) {
  const end = lines[way.to];
  const named = data.hosts.findIndex((host, index) => index !== lines[way.from][HOST] && (end[TEXT].includes(host) || lines[way.from][TEXT].includes(host)));
  const target = end[HOST] !== lines[way.from][HOST] ? end[HOST] : named;
  const y2 = row.has(target) ? lane_y(target) : y1 + 40;
  const x2 = Math.max(scale.to_x(at_line(way.to)), x1 + 14);
  const [x, y] = [x1 + (x2 - x1) * 0.55, y1 + (y2 - y1) * 0.55];
  pen.setLineDash([5, 3]);
  line_between(pen, x1, y1, x, y);
  pen.setLineDash([]);
  pen.lineWidth = 2;
  line_between(pen, x - 4, y - 4, x + 4, y + 4);
  line_between(pen, x - 4, y + 4, x + 4, y - 4);
}

function draw_events(pen, scale, lane_y, row) {
  const [first, last] = places_in_view();
  const size = Math.min(Math.max((scale.right - scale.left) / Math.max(last - first, 1) / 3, 1.6), 4.5);
  const busy = last - first > 4000;
  const seen = new Set();
  for (let place = first; place < last; place += 1) {
    const index = shown[place];
    const line = lines[index];
    if (!row.has(line[HOST])) continue;
    const x = scale.to_x(at_line(index));
    if (busy) {
      const key = (Math.round(x) * 64 + line[HOST]) * 16 + line[KIND];
      if (seen.has(key)) continue;
      seen.add(key);
    }
    pen.globalAlpha = faded(index) ? 0.35 : 1;
    glyph(pen, kindOf(line), x, lane_y(line[HOST]), size);
  }
  pen.globalAlpha = 1;
}

// Kinds differ by their shape, not by colour alone.
function glyph(pen, kind, x, y, size) {
  pen.fillStyle = pen.strokeStyle = paint[colours[kind]];
  pen.lineWidth = 1.6;
  pen.beginPath();
  if (kind === 'client') { pen.arc(x, y, size, 0, 7); pen.fillStyle = paint.surface; pen.fill(); pen.stroke(); return; }
  if (kind === 'committed') { pen.rect(x - size, y - size, size * 2, size * 2); pen.fill(); return; }
  if (kind === 'struck' || kind === 'healed') {
    const up = kind === 'healed' ? -1 : 1;
    pen.moveTo(x - size * 1.3, y - size * up); pen.lineTo(x + size * 1.3, y - size * up); pen.lineTo(x, y + size * 1.2 * up);
    pen.closePath();
    if (kind === 'struck') pen.fill(); else { pen.fillStyle = paint.surface; pen.fill(); pen.stroke(); }
    return;
  }
  if (kind === 'VIOLATED') {
    const wide = Math.max(size, 4) * 1.9;
    pen.moveTo(x, y - wide); pen.lineTo(x + wide, y); pen.lineTo(x, y + wide); pen.lineTo(x - wide, y);
    pen.closePath();
    pen.fill();
    return;
  }
  pen.arc(x, y, kind === 'step' ? size * 0.85 : size * 0.6, 0, 7);
  pen.fill();
}

// The violation, and the chosen event.
function draw_moments(pen, scale, total, lane_y) {
  if (data.violation) {
    const x = scale.to_x(violated_place());
    pen.strokeStyle = paint.violated;
    pen.lineWidth = 1.5;
    pen.setLineDash([6, 4]);
    line_between(pen, x, AXIS - 8, x, total);
    pen.setLineDash([]);
    pen.font = `700 12px ${FONT}`;
    const text = data.violation.id;
    const wide = pen.measureText(text).width + 12;
    pen.fillStyle = paint.violated;
    pen.beginPath();
    const pill = Math.min(x - wide / 2, scale.right + 5 - wide);
    pen.roundRect(pill, 3, wide, 18, 5);
    pen.fill();
    pen.fillStyle = paint.surface;
    pen.textBaseline = 'middle';
    pen.fillText(text, pill + 6, 12.5);
  }
  if (state.chosen >= 0 && places[state.chosen] >= 0) {
    const x = scale.to_x(at_line(state.chosen));
    pen.strokeStyle = paint.chosen;
    pen.lineWidth = 1;
    pen.globalAlpha = 0.55;
    line_between(pen, x, AXIS, x, total);
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, lane_y(lines[state.chosen][HOST]), 9, 0, 7);
    pen.stroke();
  }
}

const violated_line = lines.findIndex(line => kindOf(line) === 'VIOLATED');
function violated_place() {
  return violated_line >= 0 && places[violated_line] >= 0 ? at_line(violated_line) : at_time(data.violation.at_us);
}

// Events per three dots of the strip; counted anew only when something else is shown.
let tally = {};
function counted(to_x, width) {
  if (tally.shown === shown && tally.axis === state.axis && tally.width === width) return tally.bins;
  const bins = new Map();
  for (const index of shown) {
    const x = Math.round(to_x(at_line(index)) / 3) * 3;
    bins.set(x, (bins.get(x) ?? 0) + 1);
  }
  tally = { shown, axis: state.axis, width, bins };
  return bins;
}

// The whole run in a strip: how much happened when, the faults, the violation, and what the view shows of it.
function draw_overview() {
  const { pen, width, height } = sheet(document.getElementById('overview'), 36);
  const [first, last] = extent();
  const left = gutter();
  const to_x = place => left + ((place - first) / (last - first)) * (width - left - 10);
  pen.font = `11px ${FONT}`;
  pen.textBaseline = 'middle';
  pen.fillStyle = paint.soft;
  pen.fillText(`${grouped(shown.length)} events`, 10, height / 2);
  pen.fillStyle = paint.band;
  for (const band of data.strikes.filter(band => band.from_us <= data.ended_us)) {
    const from = to_x(at_time(band.from_us));
    pen.globalAlpha = 0.35;
    pen.fillRect(from, 4, Math.max(to_x(at_time(band.until_us)) - from, 2), 5);
  }
  pen.globalAlpha = 1;
  const bins = counted(to_x, width);
  const most = Math.max(1, ...bins.values());
  pen.fillStyle = paint.step;
  for (const [x, count] of bins) { const tall = 2 + (count / most) * 18; pen.fillRect(x - 1, height - 4 - tall, 2, tall); }
  if (data.violation) { pen.fillStyle = paint.violated; pen.fillRect(to_x(violated_place()) - 1, 2, 2, height - 4); }
  const [x1, x2] = state.view.map(to_x);
  pen.fillStyle = paint.message;
  pen.globalAlpha = 0.14;
  pen.fillRect(x1, 0, x2 - x1, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = paint.message;
  pen.lineWidth = 1.5;
  pen.strokeRect(x1 + 0.75, 0.75, Math.max(x2 - x1 - 1.5, 1), height - 1.5);
}
