// Buying: one click, one key. Its card follows the order until it can change no more, through lost answers and reloads.

import { announce, ask, buyer, claims, find, freshKey, now, number, recall, remember, sentence, show, span, stamp, write } from "./page.js";

/** Cards that are kept: a buyer may have eight accepted reservations in one sale. */
const CARDS_MAX = 24;
/** An answer that comes within this time goes straight to its result, without a card that says "asking". */
const PATIENT_MS = 400;
/** How often a card asks again, by its state; a state that is not named here is final. */
const POLL_MS = { held: 400, "on-its-way": 400, PENDING_PAYMENT: 1000, REFUNDING: 3000 };
/** A payment may come long after its order's window; after five minutes of asking, a reload asks again. */
const MONEY_POLL_MS = 2000;
const MONEY_POLLS_MAX = 150;
/** Payments of one order that are followed: more attempts than a person makes. */
const PAYMENTS_MAX = 4;
/** A command to an order that is still on its way is repeated this often, a second apart; then the buyer decides. */
const NOT_YET_MAX = 5;

const STATUS = {
  asking: ["Asking", "plain"],
  unknown: ["Outcome unknown", "warn"],
  "not-seen": ["Not seen", "warn"],
  refused: ["Refused", "plain"],
  held: ["Reserved", "held"],
  "on-its-way": ["On its way", "held"],
  PENDING_PAYMENT: ["Pending payment", "held"],
  PAID: ["Paid", "good"],
  CANCELLED: ["Cancelled", "plain"],
  REFUNDING: ["Refunding", "warn"],
  REFUNDED: ["Refunded", "plain"],
  REJECTED: ["Rejected", "plain"],
  lost: ["Lost", "bad"],
};
const REASONS = {
  buyer: "You cancelled it. Its units can be bought again.",
  expired: "The pay window ran out. Its units can be bought again.",
  abandoned: "You gave it up: it is not and will not be an order.",
  operator: "The operator cancelled it.",
  "sale-closed": "The sale was closed before it arrived.",
};
const SAY = {
  asking: "Waiting for the platform’s answer.",
  unknown: "No answer came: it may be reserved or not. Trying again under the same key reserves at most once.",
  "not-seen": "Nobody has accepted this key so far. Only giving it up makes that certain.",
  held: "The platform has it. Its order is being written.",
  "on-its-way": "Accepted; its order is being written.",
  PAID: "Paid. It is yours.",
  REFUNDING: "The money is on its way back.",
  REFUNDED: "The money went back.",
  lost: "Accepted, then lost before it became an order. Nothing was taken; the same key may be tried again.",
};

/** Money that came after its order had ended; a payment in a state that is not named here needs no word. */
const MONEY = {
  late: "Your money came too late for it; the platform tries to reserve again.",
  moved: "Your money came too late for it and paid a new order, which is shown here too.",
  "refund-due": "A payment that could not be used is on its way back.",
  refunded: "A payment that could not be used went back.",
};

let cards = [];
let askForToken = () => {};

export function onBuy(host) {
  askForToken = host.askForToken;
  find("#order-cards").addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    const card = button && cards.find((card) => card.key === button.closest(".order").dataset.key);
    if (card) act(card, button.dataset.do);
  });
}

/** Reads the cards of whoever the token names. A question without a kept answer is an unknown outcome. */
export function showOrders() {
  let kept = [];
  try { kept = JSON.parse(recall("orders") || "[]"); } catch { /* an older page wrote something else */ }
  const me = claims(buyer())?.sub;
  for (const card of cards) card.node?.remove();
  cards = (Array.isArray(kept) ? kept : []).map((card) => (card.status === "asking" ? { ...card, status: "unknown" } : card));
  for (const card of cards) card.mine = card.user === me;
  cards.forEach(drawCard);
  drawEmptiness();
}

function keep() {
  while (cards.length > CARDS_MAX) cards.pop().node?.remove();
  const plain = ({ sale, sku, name, quantity, key, user, status, reason, id, receipt, expires_at, begun_at, payments, late }) =>
    ({ sale, sku, name, quantity, key, user, status, reason, id, receipt, expires_at, begun_at, payments: payments?.map(({ id, status }) => ({ id, status })), late });
  remember("orders", JSON.stringify(cards.map(plain)));
}

/** One click on Buy. A refusal is told beside the button that was pressed; everything else has a card. */
export async function buy({ sale, sku, name, quantity, answer, button }) {
  if (!buyer()) {
    askForToken("Buying needs a token.");
    return;
  }
  const card = { sale, sku, name, quantity, key: freshKey(), user: claims(buyer())?.sub, mine: true, status: "asking" };
  // Kept before it is sent: a page that is closed in between can still ask what became of it.
  cards.unshift(card);
  keep();
  button.disabled = true;
  tell(answer, "", false);
  const patience = setTimeout(() => drawCard(card), PATIENT_MS);
  const outcome = await reserve(card);
  clearTimeout(patience);
  button.disabled = false;
  if (outcome.certain) forget(card);
  tell(answer, outcome.told, outcome.refused);
}

/** The same key again, from its card, which stays. */
async function again(card) {
  const outcome = await reserve(card);
  if (outcome.certain) settle(card, { status: "refused" }, outcome.told);
}

async function reserve(card) {
  card.begun_at = now();
  const headers = { "Idempotency-Key": card.key };
  const json = { lines: [{ sku: card.sku, quantity: card.quantity }] };
  const answer = await ask("POST", `/v1/sales/${encodeURIComponent(card.sale)}/reservations`, { token: buyer(), headers, json });
  const what = `${number(card.quantity)} × ${card.name}`;
  if (answer.outcome === "refused") {
    if (answer.slug === "unauthenticated") askForToken("The token was refused: it has expired, or belongs to another platform.");
    announce(sentence(answer));
    return { told: sentence(answer), refused: true, certain: true };
  }
  if (answer.outcome === "unknown") {
    settle(card, { status: "unknown" }, sentence(answer));
    return { told: "Whether it is reserved is not known: see your orders.", refused: true };
  }
  settle(card, answer.body, "");
  // The window is running: the card comes into sight, and the next key pressed is about it.
  card.node.focus({ preventScroll: true });
  card.node.scrollIntoView({ block: "nearest" });
  announce(`Reserved: ${what}. Pay before its window ends.`);
  return { told: `Reserved ${what}: see your orders.`, refused: false };
}

function tell(node, words, refused) {
  node.classList.toggle("refusal", refused);
  write(node, words);
}

/** Takes what a server said of an order. */
function settle(card, told, words) {
  const before = card.status;
  for (const name of ["status", "reason", "id", "receipt", "expires_at"]) if (told[name] !== undefined) card[name] = told[name];
  if (!(card.status in STATUS)) card.status = "unknown";
  if (words !== undefined) card.words = words;
  if (card.status !== before && card.status !== "PENDING_PAYMENT") card.words = words ?? "";
  if (card.status !== before && before in POLL_MS) announce(`${card.name}: ${STATUS[card.status][0]}`);
  if (!cards.includes(card)) cards.unshift(card);
  card.dueAt = now() + (POLL_MS[card.status] ?? 0);
  keep();
  drawCard(card);
}

function forget(card) {
  card.node?.remove();
  cards = cards.filter((other) => other !== card);
  keep();
  drawEmptiness();
}

const drawEmptiness = () => show(find("#no-orders"), !cards.some((card) => card.node?.isConnected));

function drawCard(card) {
  if (!card.mine) return;
  if (!card.node?.isConnected) placeCard(card);
  const { node, status } = card;
  const [label, tone] = STATUS[status] ?? STATUS.unknown;
  const open = ["held", "on-its-way", "PENDING_PAYMENT"].includes(status);
  node.dataset.status = status;
  write(find(".what", node), `${number(card.quantity)} × ${card.name}`);
  write(find(".status", node), label);
  find(".status", node).dataset.tone = tone;
  const said = card.words || REASONS[card.reason] || SAY[status] || "Pay before the window ends, or cancel.";
  const money = card.payments?.map((payment) => MONEY[payment.status]).find(Boolean);
  write(find(".say", node), [said, open ? "" : money, card.late ? "Your late payment made this order." : ""].filter(Boolean).join(" "));
  for (const name of ["id", "key", "receipt"]) write(find(`.${name}`, node), card[name] || "none yet");
  const unsure = ["unknown", "not-seen", "lost", "refused"].includes(status);
  show(find(".pay", node), open);
  show(find('[data-do="cancel"]', node), open);
  show(find('[data-do="again"]', node), unsure);
  show(find('[data-do="abandon"]', node), status === "unknown" || status === "not-seen");
  show(find('[data-do="look"]', node), status !== "asking" && !card.late);
  show(find('[data-do="forget"]', node), !open && status !== "asking");
  drawWindow(card);
}

function placeCard(card) {
  card.node = stamp("order");
  card.node.dataset.key = card.key;
  const later = cards.slice(cards.indexOf(card) + 1).find((other) => other.node?.isConnected);
  find("#order-cards").insertBefore(card.node, later?.node ?? null);
  drawEmptiness();
}

function drawWindow(card) {
  const open = card.status === "held" || card.status === "on-its-way" || card.status === "PENDING_PAYMENT";
  const [left, whole] = [Date.parse(card.expires_at) - now(), Date.parse(card.expires_at) - card.begun_at];
  const running = open && Number.isFinite(left);
  show(find(".window", card.node), running);
  if (!running) return;
  const share = Number.isFinite(whole) && whole > 0 ? Math.min(1, Math.max(0, left / whole)) : 0;
  find(".track i", card.node).style.width = `${(share * 100).toFixed(1)}%`;
  write(find(".left", card.node), left > 0 ? `${span(left)} left to pay` : "Window over, being released");
  card.node.classList.toggle("late", left < 10_000);
}

function act(card, what) {
  const deeds = { pay, cancel, look, abandon, again, forget };
  if (what === "forget" || card.busy) {
    if (what === "forget") forget(card);
    return;
  }
  card.busy = true;
  card.node.setAttribute("aria-busy", "true");
  Promise.resolve(deeds[what](card)).finally(() => {
    card.busy = false;
    card.node.removeAttribute("aria-busy");
  });
}

const order = (card) => `/v1/orders/${encodeURIComponent(card.id)}`;
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Repeats a command while its order is on its way. Repeating is safe: the key, or the state, makes it one. */
async function command(method, path, options) {
  let answer = await ask(method, path, options);
  for (let attempt = 0; attempt < NOT_YET_MAX && answer.slug === "not-yet"; attempt += 1) {
    await pause(answer.retryMs || 1000);
    answer = await ask(method, path, options);
  }
  return answer;
}

async function pay(card) {
  const simulate = find(".simulate", card.node).value;
  // An attempt whose outcome is unknown is repeated under its own key; a declined one is a new attempt.
  card.attempt ??= freshKey();
  const options = { token: buyer(), headers: { "Idempotency-Key": card.attempt }, json: simulate === "succeed" ? {} : { simulate } };
  const answer = await command("POST", `${order(card)}/payments`, options);
  if (answer.outcome !== "done") {
    if (answer.outcome === "refused") card.attempt = undefined;
    say(card, sentence(answer));
    return;
  }
  const known = (card.payments ?? []).filter((payment) => payment.id !== answer.body.payment_id);
  card.payments = [...known, { id: answer.body.payment_id, status: answer.body.status }].slice(-PAYMENTS_MAX);
  keep();
  say(card, simulate === "late" ? "The provider was told to answer after the pay window." : "The provider was asked; its word comes in a moment.");
  if (simulate === "decline") await hearRefusal(card, options);
  card.attempt = undefined;
}

/** A declined payment leaves its order as it was, so only the payment itself can tell: the same key asks for it. */
async function hearRefusal(card, options) {
  for (let attempt = 0; attempt < NOT_YET_MAX; attempt += 1) {
    await pause(1500);
    const answer = await ask("POST", `${order(card)}/payments`, options);
    if (answer.body?.status === "declined") {
      say(card, "The provider declined. Nothing was taken; you may pay again.");
      return;
    }
    if (answer.outcome === "refused") return;
  }
}

async function cancel(card) {
  const answer = await command("DELETE", order(card), { token: buyer() });
  if (answer.outcome === "done") settle(card, answer.body);
  else say(card, sentence(answer));
}

/** What became of it: by key, and by receipt where there is one, which makes "lost" final. */
async function look(card) {
  const headers = card.receipt ? { Receipt: card.receipt } : {};
  const answer = await ask("GET", `/v1/sales/${encodeURIComponent(card.sale)}/reservations/${encodeURIComponent(card.key)}`, { token: buyer(), headers });
  if (answer.outcome !== "done") {
    say(card, sentence(answer));
    return;
  }
  const told = answer.body;
  settle(card, told.outcome === "not-seen" ? { status: "not-seen" } : told, "");
  const [label] = STATUS[card.status];
  say(card, `Looked up: ${String(told.outcome).replace("-", " ")}. ${REASONS[card.reason] || SAY[card.status] || `${label}.`}`);
}

async function abandon(card) {
  const path = `/v1/sales/${encodeURIComponent(card.sale)}/reservations/${encodeURIComponent(card.key)}/abandon`;
  const answer = await ask("POST", path, { token: buyer() });
  if (answer.outcome === "done") settle(card, answer.body, "");
  else say(card, sentence(answer));
}

function say(card, words) {
  card.words = words;
  drawCard(card);
  announce(words);
}

async function poll(card) {
  card.polling = true;
  const answer = await ask("GET", order(card), { token: buyer() });
  card.polling = false;
  // What the buyer did meanwhile is newer than this answer.
  if (!cards.includes(card)) return;
  if (answer.outcome === "done" && !card.busy) settle(card, answer.body);
  else card.dueAt = now() + 2000;
}

const isOpen = (payment) => ["started", "late", "refund-due"].includes(payment.status);

/** After its order's end a payment still has a fate: a new order under a key of the platform, or the way back. */
async function followMoney(card, payment) {
  payment.polls = (payment.polls ?? 0) + 1;
  payment.dueAt = Infinity;
  const answer = await ask("GET", `/v1/payments/${encodeURIComponent(payment.id)}`, { token: buyer() });
  payment.dueAt = now() + MONEY_POLL_MS;
  if (answer.outcome !== "done" || !cards.includes(card)) return;
  const { status, order: paid } = answer.body;
  const news = status !== payment.status;
  payment.status = status === "paid" && paid !== card.id ? "moved" : status;
  if (payment.status === "moved" && !cards.some((other) => other.id === paid)) placeLate(card, payment, paid);
  keep();
  drawCard(card);
  if (news && MONEY[payment.status]) announce(`${card.name}: ${MONEY[payment.status]}`);
}

function placeLate(card, payment, id) {
  const { sale, sku, name, quantity, user, mine } = card;
  const late = { sale, sku, name, quantity, user, mine, id, key: `late:${payment.id}`, status: "on-its-way", late: true, begun_at: now() };
  cards.splice(cards.indexOf(card), 0, late);
  drawCard(late);
}

export function tick() {
  for (const card of cards) {
    if (card.node?.isConnected) drawWindow(card);
    if (card.mine && card.id && card.status in POLL_MS && !card.polling && now() >= (card.dueAt ?? 0)) poll(card);
    const ended = card.mine && (!(card.status in POLL_MS) || card.status === "REFUNDING");
    const payment = ended && card.payments?.find((one) => isOpen(one) && (one.polls ?? 0) < MONEY_POLLS_MAX && now() >= (one.dueAt ?? 0));
    if (payment) followMoney(card, payment);
  }
}
