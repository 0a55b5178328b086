// The lines: only those that can be seen are in the document.

const list = document.getElementById('list');
const rows = document.getElementById('rows');
const row_height = () => (narrow() ? 46 : 25);

function draw_list() {
  const height = row_height();
  rows.style.height = `${shown.length * height}px`;
  const first = Math.max(Math.floor(list.scrollTop / height) - 4, 0);
  const last = Math.min(first + Math.ceil(list.clientHeight / height) + 8, shown.length);
  const fresh = document.createDocumentFragment();
  for (let place = first; place < last; place += 1) fresh.append(row_of(shown[place], place * height));
  rows.replaceChildren(fresh);
}

function row_of(index, top) {
  const line = lines[index];
  const row = document.createElement('div');
  row.className = `row${state.scope === 'all' && led.has(index) ? ' led' : ''}${index === state.chosen ? ' chosen' : ''}`;
  row.dataset.line = index;
  row.dataset.kind = kindOf(line);
  row.style.top = `${top}px`;
  row.setAttribute('role', 'option');
  row.setAttribute('aria-selected', index === state.chosen);
  const message = line[MESSAGE] >= 0 ? `m${line[MESSAGE]} ` : '';
  const cells = [milliseconds(line[AT]), grouped(line[ORDINAL]), data.hosts[line[HOST]], kindOf(line), message + line[TEXT]];
  cells.forEach((text, cell) => {
    const span = document.createElement('span');
    span.textContent = text;
    if (cell === 3) span.className = 'kind';
    if (cell === 4) span.title = text;
    row.append(span);
  });
  return row;
}

// The chosen line comes into sight, in the middle when it was far away.
function follow() {
  const place = places[state.chosen];
  if (state.chosen < 0 || place < 0) return;
  const height = row_height();
  const top = place * height;
  rows.style.height = `${shown.length * height}px`;
  if (top < list.scrollTop + height || top > list.scrollTop + list.clientHeight - 2 * height) {
    list.scrollTop = top - list.clientHeight / 2;
  }
}

function draw_detail() {
  const detail = document.getElementById('detail');
  if (state.chosen < 0) {
    detail.replaceChildren(Object.assign(document.createElement('small'), { textContent: 'Choose an event: click one, or step with the arrow keys.' }));
    return;
  }
  const line = lines[state.chosen];
  const head = document.createElement('small');
  const other = (waysOf.get(state.chosen) ?? []).map(way => {
    if (way.to < 0) return 'never arrives';
    const end = way.from === state.chosen ? way.to : way.from;
    const word = way.from === state.chosen ? (way.lost ? 'lost' : 'arrives') : 'sent';
    return `${word} at ${milliseconds(lines[end][AT])} ms, ${data.hosts[lines[end][HOST]]}`;
  });
  head.textContent = [`${milliseconds(line[AT])} ms`, `event ${grouped(line[ORDINAL])}`, data.hosts[line[HOST]], kindOf(line), ...(line[MESSAGE] >= 0 ? [`message m${line[MESSAGE]}`] : []), ...other].join(' · ');
  const what = document.createElement('b');
  what.textContent = line[TEXT];
  detail.replaceChildren(head, what);
}
