// The board: sales, rates, queues, orders by state and invariants, drawn from one picture a second.
//
// Nodes are made once and then only written to, so that nothing moves, and focus and half-typed numbers survive.

import { buy } from "./orders.js";
import { age, announce, ask, find, freshKey, money, now, number, recall, remember, sentence, show, span, stamp, write } from "./page.js";

/** Seconds of a sparkline. */
const SAMPLES = 90;
/** SKUs of a sale before the rest waits behind a button: a screenful. */
const ROWS = 8;
/** A second click within this time closes a sale; a single one is too easy for what cannot be undone. */
const CONFIRM_MS = 5000;

const TOTALS = {
  accepted: ["reservations_accepted_total"],
  refused: ["reservations_refused_total", "reservations_latched_total"],
  persisted: ["orders_persisted_total"],
};
const QUEUES = {
  lane_waiting_clicks: "Clicks in lanes",
  intake_lag_records: "Log records to decide",
  delay_ready_tasks: "Time-outs waiting",
  delay_processing_tasks: "Time-outs claimed",
  settler_parked_events: "Events parked",
};
const STATES = {
  PENDING_PAYMENT: "Pending payment",
  PAID: "Paid",
  CANCELLED: "Cancelled",
  REFUNDING: "Refunding",
  REFUNDED: "Refunded",
  REJECTED: "Rejected",
};
const INVARIANTS = {
  I1: "No shard sells more than it was granted",
  I2: "Grants and pool add up to the stock",
  I3: "Consumed units are those of living orders",
  I4: "Each memory’s counters add up",
  I5: "Memory and database agree at rest",
};
const LIGHTS = { green: ["●", "holds"], red: ["▲", "BROKEN"], "not-checked": ["○", "not checked"] };
const SALE_STATES = { draft: "Draft", open: "Open", stopped: "Stopped", closed: "Closed" };

const sales = new Map();
/** Names of products by their ids; the id itself until its name is known. */
const products = new Map();
const samples = { accepted: [], refused: [], persisted: [] };
let operating = false;
let broken = "";

export function draw(picture) {
  drawRates(picture);
  drawSales(picture.sales || []);
  drawFigures(find("#queues"), QUEUES, picture.gauges || {}, ["oracle_red_invariants"]);
  drawFigures(find("#states"), STATES, picture.orders || {}, []);
  drawInvariants(picture.invariants || [], picture.totals?.alarms_total);
}

/** Seconds without figures leave a gap in the lines. */
export function gap(seconds) {
  for (const line of Object.values(samples)) for (let i = 0; i < Math.min(seconds, SAMPLES); i += 1) line.push(null);
}

function drawRates(picture) {
  for (const [name, line] of Object.entries(samples)) {
    const rate = picture.per_second?.[name];
    line.push(Number.isFinite(rate) ? rate : null);
    line.splice(0, Math.max(0, line.length - SAMPLES));
    const card = find(`[data-rate="${name}"]`);
    const peak = Math.max(1, ...line.map((value) => value ?? 0));
    const total = TOTALS[name].reduce((sum, metric) => sum + (picture.totals?.[metric] ?? 0), 0);
    write(find(".now b", card), number(rate));
    write(find(".total", card), number(total));
    write(find(".peak", card), `peak ${number(Math.max(0, ...line.map((value) => value ?? 0)))}`);
    drawLine(find(".line", card), find(".area", card), line, peak);
  }
}

function drawLine(line, area, values, peak) {
  const x = (index) => SAMPLES - values.length + index + 1;
  const y = (value) => (29 - (value / peak) * 27).toFixed(1);
  let [stroke, fill, start] = ["", "", null];
  values.forEach((value, index) => {
    if (value === null) { start = null; return; }
    stroke += `${start === null ? "M" : "L"}${x(index)} ${y(value)}`;
    if (start === null) { start = index; fill += `M${x(index)} 30`; }
    fill += `L${x(index)} ${y(value)}`;
    if (index === values.length - 1 || values[index + 1] === null) fill += `L${x(index)} 30Z`;
  });
  line.setAttribute("d", stroke || "M0 29");
  area.setAttribute("d", fill || "M0 30");
}

function drawSales(rows) {
  const present = new Set(rows.map((row) => row.sale));
  for (const [id, card] of sales) if (!present.has(id)) { card.node.remove(); sales.delete(id); }
  write(find("#no-sales"), "There is no sale yet. An operator can create one.");
  show(find("#no-sales"), rows.length === 0);
  rows.forEach((row, place) => {
    const card = sales.get(row.sale) ?? newSale(row);
    // Moving a node takes its focus away, so it moves only when its place is another.
    if (find("#sales").children[place + 1] !== card.node) find("#sales").insertBefore(card.node, find("#sales").children[place + 1] ?? null);
    drawSale(card, row);
  });
}

function newSale(row) {
  const node = stamp("sale");
  const card = { node, row, skus: new Map(), whole: false, confirmUntil: 0 };
  node.dataset.sale = row.sale;
  find(".more", node).addEventListener("click", () => { card.whole = !card.whole; drawSale(card, card.row); });
  for (const button of node.querySelectorAll("[data-act]")) button.addEventListener("click", () => operate(card, button));
  sales.set(row.sale, card);
  return card;
}

function drawSale(card, row) {
  card.row = row;
  const { node } = card;
  node.dataset.state = row.state;
  write(find(".title", node), row.title || row.sale);
  write(find(".state", node), SALE_STATES[row.state] ?? row.state);
  const phases = row.phases ?? [];
  const selling = phases.filter((phase) => phase === "OPEN").length;
  const shards = phases.length === 1 ? `shard ${phases[0].toLowerCase()}` : `${selling} of ${phases.length} shards open`;
  const terms = [`${number(row.limit_per_user)} per buyer`, `${number(row.hold_seconds)} s to pay`, phases.length ? shards : ""];
  write(find(".terms", node), terms.filter(Boolean).join(" · "));
  drawCountdown(card);
  drawSkus(card, row);
  drawControls(card);
}

function drawCountdown({ node, row }) {
  const [starts, ends, time] = [Date.parse(row.starts_at), Date.parse(row.ends_at), now()];
  let words = "";
  if (row.state === "closed") words = "Over for good";
  else if (time < starts) words = `Starts in ${span(starts - time)}`;
  else if (time < ends) words = `Ends in ${span(ends - time)}`;
  else if (Number.isFinite(ends)) words = "Its time is over";
  write(find(".countdown", node), words);
}

function drawSkus(card, row) {
  const usual = row.state === "closed" ? 0 : ROWS;
  const shown = card.whole ? row.skus : row.skus.slice(0, usual);
  const present = new Set(shown.map((sku) => sku.sku));
  for (const [id, line] of card.skus) if (!present.has(id)) { line.remove(); card.skus.delete(id); }
  for (const sku of shown) drawSku(card.skus.get(sku.sku) ?? newSku(card, sku), row, sku);
  const more = find(".more", card.node);
  show(more, row.skus.length > usual);
  const count = row.skus.length === 1 ? "its SKU" : `all ${number(row.skus.length)} SKUs`;
  write(more, card.whole ? "Show fewer" : `Show ${count}`);
}

function newSku(card, sku) {
  const line = stamp("sku");
  line.dataset.sku = sku.sku;
  learnProduct(sku.product);
  find(".buy", line).addEventListener("submit", (event) => {
    event.preventDefault();
    const quantity = Number(find(".quantity", line).value);
    buy({ sale: card.row.sale, sku: sku.sku, name: nameOf(sku), quantity, answer: find(".answer", line), button: find(".buy button", line) });
  });
  find(".skus", card.node).append(line);
  card.skus.set(sku.sku, line);
  return line;
}

/** Asked once per product that is shown; without an answer its SKUs keep their own names. */
async function learnProduct(id) {
  if (!id || products.has(id)) return;
  products.set(id, "");
  const answer = await ask("GET", `/v1/products/${encodeURIComponent(id)}`);
  if (answer.outcome === "done" && typeof answer.body.name === "string") products.set(id, answer.body.name);
}

/** "Size 42" alone says too little, and a product with one SKU often repeats its name. */
function nameOf(sku) {
  const [product, own] = [products.get(sku.product), sku.name || sku.sku];
  return product && product !== own ? `${product}, ${own}` : own;
}

function label(node, words) {
  if (node.getAttribute("aria-label") !== words) node.setAttribute("aria-label", words);
}

function drawSku(line, row, sku) {
  const [product, own] = [products.get(sku.product), sku.name || sku.sku];
  const price = money(sku.price_minor, sku.currency || row.currency);
  write(find(".label", line), product || own);
  write(find(".price", line), product && product !== own ? `${own} · ${price}` : price);
  label(find(".quantity", line), `Quantity of ${nameOf(sku)}`);
  label(find(".buy button", line), `Buy ${nameOf(sku)}`);
  line.classList.toggle("gone", sku.available === 0);
  for (const part of ["available", "held", "sold"]) {
    write(find(`[data-of="${part}"]`, line), number(sku[part]));
    const share = sku.total > 0 ? Math.min(1, (sku[part] || 0) / sku.total) : 0;
    find(`.bar .${part}`, line).style.width = `${(share * 100).toFixed(2)}%`;
  }
  label(find(".bar", line), `${number(sku.available)} available, ${number(sku.held)} held, ${number(sku.sold)} sold, of ${number(sku.total)}`);
}

export function drawOperator(allowed) {
  operating = allowed;
  for (const card of sales.values()) drawControls(card);
}

function drawControls(card) {
  const { node, row } = card;
  const strip = find(".operator", node);
  show(strip, operating && row.state !== "closed");
  if (!operating) return;
  const allowed = { open: row.state === "draft", stop: row.state === "open", resume: row.state === "stopped", close: row.state !== "draft" };
  for (const [act, possible] of Object.entries(allowed)) show(find(`[data-act="${act}"]`, strip), possible);
  const which = find(".which", strip);
  if (which.options.length !== row.skus.length) {
    const chosen = which.value;
    which.replaceChildren(...row.skus.map((sku) => new Option(nameOf(sku), sku.sku)));
    if (row.skus.some((sku) => sku.sku === chosen)) which.value = chosen;
  }
  row.skus.forEach((sku, place) => write(which.options[place], nameOf(sku)));
  if (Date.now() > card.confirmUntil) write(find('[data-act="close"]', strip), "Close");
}

async function operate(card, button) {
  const [act, strip, sale] = [button.dataset.act, find(".operator", card.node), encodeURIComponent(card.row.sale)];
  if (act === "close" && Date.now() > card.confirmUntil) {
    card.confirmUntil = Date.now() + CONFIRM_MS;
    write(button, "Really close?");
    announce("Closing is for good. Press again to confirm.");
    return;
  }
  card.confirmUntil = 0;
  const quantity = Number(find(".units", strip).value);
  const sku = find(".which", strip).value;
  const topUp = act === "top-up";
  const path = topUp ? `/admin/v1/sales/${sale}/skus/${encodeURIComponent(sku)}/top-up` : `/admin/v1/sales/${sale}/${act}`;
  const headers = topUp ? { "Idempotency-Key": topUpKey(sale, sku, quantity) } : {};
  button.disabled = true;
  const answer = await ask("POST", path, { token: recall("admin"), headers, json: topUp ? { quantity } : undefined });
  button.disabled = false;
  const unsure = topUp && answer.outcome === "unknown";
  if (topUp && !unsure) remember(`top-up.${sale}`, "");
  const told = find(".answer", strip);
  told.classList.toggle("refusal", answer.outcome !== "done");
  write(told, answer.outcome === "done" ? done(act, quantity) : `${sentence(answer)}${unsure ? " Pressing again adds them at most once." : ""}`);
}

/** The same key for the same wish until its outcome is known, also after a reload: a repetition must not add twice. */
function topUpKey(sale, sku, quantity) {
  const wish = `${sku} ${quantity}`;
  const [key, kept] = recall(`top-up.${sale}`).split(/ (.*)/);
  if (key && kept === wish) return key;
  const fresh = freshKey();
  remember(`top-up.${sale}`, `${fresh} ${wish}`);
  return fresh;
}

function done(act, quantity) {
  const words = { open: "Opened.", stop: "Stopped. Payments and cancellations go on.", resume: "Selling again.", close: "Closing: what is left returns to the pool." };
  return words[act] ?? `${number(quantity)} units added.`;
}

function drawFigures(list, labels, values, without) {
  const names = [...Object.keys(labels), ...Object.keys(values).filter((name) => !(name in labels) && !without.includes(name))];
  for (const name of names) {
    let value = list.querySelector(`[data-name="${CSS.escape(name)}"]`);
    if (!value) {
      const row = document.createElement("div");
      const label = document.createElement("dt");
      value = document.createElement("dd");
      value.dataset.name = name;
      write(label, labels[name] ?? name.replaceAll("_", " "));
      row.append(label, value);
      list.append(row);
    }
    write(value, number(values[name] ?? 0));
  }
}

function drawInvariants(rows, alarms) {
  const list = find("#invariant-list");
  for (const item of [...list.children]) if (!rows.some((row) => row.id === item.dataset.id)) item.remove();
  if (rows.length === 0) {
    const item = document.createElement("li");
    item.className = "empty";
    write(item, "No oracle runs here: nothing is checked, so nothing is shown as green.");
    list.append(item);
  }
  for (const row of rows) drawInvariant(list.querySelector(`[data-id="${CSS.escape(row.id)}"]`) ?? newInvariant(list, row.id), row);
  const count = (state) => rows.filter((row) => row.state === state).length;
  const words = [["red", "BROKEN"], ["green", "hold"], ["not-checked", "not checked"]]
    .filter(([state]) => count(state) > 0).map(([state, word]) => `${count(state)} ${word}`);
  // Only what breaks, or is whole again, interrupts those who listen; the rest changes too often.
  const red = rows.filter((row) => row.state === "red").map((row) => row.id).join(", ");
  if (red !== broken) announce(red ? `Invariants broken: ${red}.` : "All invariants that are checked hold again.");
  broken = red;
  if (alarms > 0) words.push(`${number(alarms)} alarms`);
  write(find("#verdict"), words.join(", "));
  find("#verdict").dataset.state = count("red") || alarms > 0 ? "red" : count("green") === rows.length && rows.length ? "green" : "not-checked";
}

function newInvariant(list, id) {
  const item = document.createElement("li");
  item.dataset.id = id;
  for (const part of ["light", "id", "state", "age", "meaning", "detail"]) {
    const span = document.createElement("span");
    span.className = part;
    item.append(span);
  }
  find(".light", item).setAttribute("aria-hidden", "true");
  list.append(item);
  return item;
}

function drawInvariant(item, row) {
  const [sign, word] = LIGHTS[row.state] ?? LIGHTS["not-checked"];
  item.dataset.state = row.state in LIGHTS ? row.state : "not-checked";
  write(find(".light", item), sign);
  write(find(".id", item), row.id);
  write(find(".meaning", item), INVARIANTS[row.id] ?? row.detail);
  write(find(".state", item), word);
  // What is waited for stands where the age would: an invariant that is checked again and again must not move the rest.
  write(find(".age", item), row.state === "not-checked" ? row.detail : `checked ${age(row.age_ms)}`);
  write(find(".detail", item), row.state === "red" ? row.detail : "");
}

export function tick() {
  for (const card of sales.values()) {
    drawCountdown(card);
    if (operating) drawControls(card);
  }
}
