// What every part of the page uses: nodes, numbers, times, and calls with three answers.
//
// Names and texts come from operators and servers, so they reach the page through textContent only.

export const find = (selector, root = document) => root.querySelector(selector);

/** A copy of a template's only element. */
export const stamp = (name) => find(`#${name}-template`).content.firstElementChild.cloneNode(true);

/** Writes only what differs: an unchanged text must not disturb a selection or a screen reader. */
export function write(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** Tells screen readers; the same words twice are two events. */
export function announce(text) {
  const node = find("#announcer");
  node.textContent = "";
  setTimeout(() => { node.textContent = text; }, 50);
}

const whole = new Intl.NumberFormat("en-US");
export const number = (value) => (Number.isFinite(value) ? whole.format(value) : "–");

/** Minor units as people read them: how many digits are minor depends on the currency (ISO 4217). */
export function money(minor, currency) {
  if (!Number.isFinite(minor)) return "";
  try {
    const format = new Intl.NumberFormat("en-US", { style: "currency", currency });
    return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
  } catch {
    return `${number(minor)} ${currency || ""} in minor units`;
  }
}

let aheadMs = 0;
/** The server's clock decides when a window ends; this browser's may be wrong by minutes. */
export function learnTime(at) {
  const ahead = Date.parse(at) - Date.now();
  // Half a second is the way from there to here, and not worth a jump of every countdown.
  if (Number.isFinite(ahead) && Math.abs(ahead - aheadMs) > 500) aheadMs = ahead;
}
export const now = () => Date.now() + aheadMs;

const two = (value) => String(value).padStart(2, "0");
/** Milliseconds as 0:07, 12:00, 23:59:01, or 3 d 04:00:00. */
export function span(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${two(hours)}:${two(minutes)}:${two(seconds % 60)}`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
  return `${minutes}:${two(seconds % 60)}`;
}

/** An age in a few characters. */
export function age(ms) {
  if (!Number.isFinite(ms)) return "";
  const seconds = Math.round(ms / 1000);
  if (seconds < 1) return "now";
  if (seconds < 100) return `${seconds} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

/** A fresh key. crypto.randomUUID exists on secure origins only, and a phone may come by a plain address. */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Tokens stay in this browser. Storage can be forbidden; then they live as long as the page.
const memory = new Map();
export function recall(name) {
  try { return localStorage.getItem(`doorbuster.${name}`) ?? memory.get(name) ?? ""; } catch { return memory.get(name) ?? ""; }
}
export function remember(name, value) {
  memory.set(name, value);
  try { localStorage.setItem(`doorbuster.${name}`, value); } catch { /* the map has it */ }
}

/** The claims of a token, for showing them; whether they are true is the server's business. */
export function claims(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const parsed = JSON.parse(new TextDecoder().decode(bytes));
    return typeof parsed.sub === "string" ? parsed : null;
  } catch {
    return null;
  }
}
export const buyer = () => recall("token") || recall("admin");

/** A request is answered or refused by the server within ten seconds; a little more, and nobody knows. */
const PATIENCE_MS = 12_000;
/** Problems that leave open whether the request took effect. */
const OPEN = new Set(["outcome-unknown", "timed-out", "internal"]);

/**
 * Asks the platform. There are three answers:
 * {outcome: "done", status, body}, {outcome: "refused", slug, title, detail, retryMs}, {outcome: "unknown", title, detail}.
 */
export async function ask(method, path, { token = "", headers = {}, json } = {}) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), PATIENCE_MS);
  try {
    const all = { Accept: "application/json", ...headers };
    if (token) all.Authorization = `Bearer ${token}`;
    if (json !== undefined) all["Content-Type"] = "application/json";
    const body = json === undefined ? undefined : JSON.stringify(json);
    const response = await fetch(path, { method, headers: all, body, cache: "no-store", signal: giveUp.signal });
    const answer = await response.json();
    return response.ok ? { outcome: "done", status: response.status, body: answer } : refusal(response, answer);
  } catch {
    return { outcome: "unknown", title: "No answer", detail: "The platform did not answer. Whether it took effect is not known." };
  } finally {
    clearTimeout(timer);
  }
}

function refusal(response, problem) {
  const slug = String(problem.type || "").split("/").pop();
  const told = { slug, title: String(problem.title || `Status ${response.status}`), detail: String(problem.detail || "") };
  if (OPEN.has(slug) || response.status === 500) return { outcome: "unknown", ...told };
  const seconds = Number(response.headers.get("Retry-After"));
  return { outcome: "refused", ...told, retryMs: seconds > 0 ? seconds * 1000 : 0 };
}

/** Title and detail in one line; a title is no sentence until it has its full stop. */
export const sentence = (answer) => `${answer.title.replace(/\.$/, "")}. ${answer.detail}`.trim();
