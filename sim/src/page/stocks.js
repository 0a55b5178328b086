// Stock over time: what orders hold and have paid, and what may still be taken, against what there is.

const SKUS_FEW = 4;
const CHART = 92;

// The SKUs that the violation names first, then by number.
const sku_order = data.skus.map((_, sku) => sku).sort((a, b) => named(b) - named(a) || a - b);
function named(sku) {
  return data.violation && new RegExp(`\\bsku-?${sku}\\b`, 'i').test(data.violation.what) ? 1 : 0;
}

function draw_stocks() {
  const few = state.allSkus ? sku_order : sku_order.slice(0, SKUS_FEW);
  const more = document.getElementById('more');
  more.hidden = sku_order.length <= SKUS_FEW;
  more.textContent = state.allSkus ? 'Fewer SKUs' : `All ${sku_order.length} SKUs`;
  const { pen, width, height } = sheet(document.getElementById('stocks'), few.length * CHART + 6);
  const scale = across(width);
  few.forEach((sku, index) => draw_stock(pen, scale, sku, index * CHART));
  for (const [place, colour, dash] of [[data.violation ? violated_place() : null, paint.violated, [6, 4]], [chosen_place(), paint.chosen, []]]) {
    if (place === null) continue;
    const x = scale.to_x(place);
    if (x < scale.left || x > scale.right) continue;
    pen.strokeStyle = colour;
    pen.globalAlpha = 0.7;
    pen.lineWidth = 1.2;
    pen.setLineDash(dash);
    line_between(pen, x, 0, x, height);
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }
}

const chosen_place = () => (state.chosen >= 0 && places[state.chosen] >= 0 ? at_line(state.chosen) : null);

// The last point at or before a moment.
function point_at(points, time) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= time) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function draw_stock(pen, scale, sku, top) {
  const { total, points } = data.skus[sku];
  const bottom = top + CHART - 10;
  const most = most_of(sku);
  const to_y = units => bottom - (units / most) * (CHART - 26);
  draw_stock_words(pen, sku, top, bottom, scale, to_y, most);
  pen.save();
  pen.beginPath();
  pen.rect(scale.left, top, scale.right - scale.left, CHART);
  pen.clip();
  for (const [from, until, [, available, held, sold]] of spans(points, scale)) {
    let base = 0;
    for (const [units, colour] of [[sold, paint.sold], [held, paint.held], [available, paint.available]]) {
      pen.fillStyle = colour;
      pen.fillRect(from, to_y(base + units), until - from + 0.6, to_y(base) - to_y(base + units));
      base += units;
    }
    if (held + sold > total) {
      pen.fillStyle = paint.over;
      // One unit of thousands must be seen too.
      const tall = Math.max(to_y(total) - to_y(held + sold), 4);
      pen.fillRect(from, to_y(total) - tall, until - from + 0.6, tall);
    }
  }
  pen.strokeStyle = paint.ink;
  pen.lineWidth = 1.4;
  pen.setLineDash([5, 4]);
  line_between(pen, scale.left, to_y(total), scale.right, to_y(total));
  pen.restore();
  pen.setLineDash([]);
}

const mosts = new Map();
function most_of(sku) {
  const { total, points } = data.skus[sku];
  const count = () => points.reduce((most, [, available, held, sold]) => Math.max(most, available + held + sold), Math.max(total, 1));
  if (!mosts.has(sku)) mosts.set(sku, count());
  return mosts.get(sku);
}

// Pieces between two changes, in dots; changes within one dot are one piece, and the last of them is seen.
function spans(points, scale) {
  const pieces = [];
  const first = Math.max(point_at(points, time_at(state.view[0]) - 1), 0);
  for (let index = first; index < points.length; index += 1) {
    const from = scale.to_x(at_time(points[index][0]));
    const until = index + 1 < points.length ? scale.to_x(at_time(points[index + 1][0])) : scale.right;
    if (until < scale.left) continue;
    if (from > scale.right) break;
    const last = pieces[pieces.length - 1];
    if (until - from < 0.5 && last && index + 1 < points.length) { last[1] = until; last[2] = points[index]; continue; }
    pieces.push([from, until, points[index]]);
  }
  return pieces;
}

function draw_stock_words(pen, sku, top, bottom, scale, to_y, most) {
  const { total, points } = data.skus[sku];
  const small = narrow() ? 10 : 11;
  pen.textBaseline = 'middle';
  pen.fillStyle = paint.ink;
  pen.font = `600 ${narrow() ? 11 : 13}px ${FONT}`;
  pen.fillText(`SKU ${sku}`, 10, top + 16);
  pen.font = `${small}px ${FONT}`;
  pen.fillStyle = paint.soft;
  const time = state.chosen >= 0 ? lines[state.chosen][AT] : data.ended_us;
  const index = point_at(points, time);
  if (index >= 0) {
    const [, available, held, sold] = points[index];
    [`${grouped(available)} available`, `${grouped(held)} held`, `${grouped(sold)} sold`].forEach((text, row) => {
      pen.fillText(fitting(pen, text, scale.left - 30), 10, top + 34 + row * 15);
    });
  }
  pen.textAlign = 'right';
  for (const units of new Set([0, total, most > total ? most : total])) {
    if (units !== total && Math.abs(to_y(units) - to_y(total)) < 10) continue;
    pen.fillText(grouped(units), scale.left - 5, to_y(units));
  }
  pen.textAlign = 'left';
  pen.strokeStyle = paint.hair;
  pen.lineWidth = 1;
  line_between(pen, scale.left, bottom, scale.right, bottom);
}
