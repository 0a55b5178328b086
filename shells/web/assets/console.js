// The console: who watches, the feed, and what to do when it breaks. board.js draws, orders.js buys.

import { draw, drawOperator, tick as tickBoard, gap } from "./board.js";
import { showOrders, tick as tickOrders, onBuy } from "./orders.js";
import { announce, buyer, claims, find, learnTime, now, recall, remember, show, write } from "./page.js";

/** The feed speaks every second; after five silent ones it is taken for dead. */
const SILENCE_MS = 5000;
/** Waiting before the next attempt doubles from half a second, and a page left open overnight still asks often. */
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15_000];

/** Until somebody wakes it: a timer is bounded, an hour is long. */
const FOREVER_MS = 3_600_000;

const link = { failures: 0, heardAt: 0, retryAt: 0, wake: null, abort: null, asked: false, leaving: false };

function takeFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("token") && !given.has("admin")) return;
  for (const name of ["token", "admin"]) if (given.has(name)) remember(name, given.get(name).trim());
  // A token in the address would travel with every copy of it.
  history.replaceState(null, "", location.pathname + location.search);
}

function showWho() {
  const [me, operator] = [claims(recall("token")), claims(recall("admin"))];
  const words = [];
  if (me) words.push(`You are ${me.sub}`);
  if (operator) words.push(me ? "with operator’s controls" : `You are ${operator.sub}, operator`);
  write(find("#who"), words.join(", ") || "No token yet");
  write(find("#change-token"), words.length ? "Change" : "Enter one");
  drawOperator(Boolean(operator));
  showOrders();
}

/** Shows the field for a token, with the reason where something needs one. */
function askForToken(why) {
  show(find("#token-form"), true);
  write(find("#token-error"), why || "");
  if (why) {
    find("#token").focus();
    announce(why);
  }
}

function takeToken(event) {
  event.preventDefault();
  const text = find("#token").value.trim().replace(/^Bearer\s+/i, "");
  const told = claims(text);
  if (!told) {
    askForToken("That is not a token: it has three parts with a full stop between them.");
    return;
  }
  remember(told.role === "admin" ? "admin" : "token", text);
  find("#token").value = "";
  write(find("#token-error"), "");
  show(find("#token-form"), false);
  showWho();
  announce(find("#who").textContent);
  reconnect();
}

function setLink(state, words) {
  find("#link").dataset.state = state;
  write(find("#link-text"), words);
  show(find("#lost"), state === "lost");
  document.body.classList.toggle("stale", state === "lost");
}

function hear(picture) {
  learnTime(picture.at);
  link.heardAt = performance.now();
  if (link.failures > 0) {
    gap(link.failures);
    announce("Connected again.");
  }
  link.failures = 0;
  setLink("live", "Live");
  draw(picture);
}

/** Reads server-sent events by hand, because EventSource cannot send a token (HTML Living Standard, section 9.2). */
async function readFeed(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    link.heardAt = performance.now();
    const events = (rest + value).split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data) hear(JSON.parse(data));
    }
  }
}

async function connect() {
  link.abort = new AbortController();
  link.asked = false;
  link.heardAt = performance.now();
  const headers = { Accept: "text/event-stream" };
  const token = recall("admin") || recall("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch("/v1/live", { headers, cache: "no-store", signal: link.abort.signal });
  if (response.status === 401 || response.status === 403) {
    setLink("waiting", "Needs a token");
    askForToken("This platform shows its figures to operators only: enter an operator’s token.");
    return false;
  }
  if (!response.ok) throw new Error(`status ${response.status}`);
  await readFeed(response);
  return true;
}

function pause(ms) {
  return new Promise((resolve) => {
    link.wake = resolve;
    setTimeout(resolve, ms);
  });
}

/** Connects for as long as the page lives. A feed that ended in peace is asked for again at once. */
async function follow() {
  for (;;) {
    let wait = 1000;
    try {
      if (!(await connect())) wait = FOREVER_MS;
    } catch {
      if (link.leaving || link.asked) {
        await pause(link.leaving ? FOREVER_MS : 0);
        continue;
      }
      link.failures += 1;
      if (link.failures === 1) announce("Connection lost, retrying.");
      // Spread by a quarter, so that a thousand pages do not knock in the same instant.
      wait = BACKOFF_MS[Math.min(link.failures, BACKOFF_MS.length) - 1] * (0.75 + Math.random() / 2);
      link.retryAt = performance.now() + wait;
      setLink("lost", "Connection lost");
      tick();
    }
    await pause(wait);
  }
}

function reconnect() {
  link.asked = true;
  link.abort?.abort();
  link.wake?.();
}

function tick() {
  const time = new Date(now()).toISOString();
  write(find("#clock"), time.slice(11, 19));
  if (!find("#lost").hidden) {
    const seconds = Math.max(0, Math.ceil((link.retryAt - performance.now()) / 1000));
    write(find("#lost-text"), seconds > 0 ? `Retrying in ${seconds} s. The figures are old.` : "Retrying now. The figures are old.");
  } else if (find("#link").dataset.state === "live" && performance.now() - link.heardAt > SILENCE_MS) {
    link.abort.abort();
  }
  tickBoard();
  tickOrders();
}

function begin() {
  takeFragment();
  showWho();
  if (!buyer()) askForToken("");
  find("#token-form").addEventListener("submit", takeToken);
  find("#change-token").addEventListener("click", () => {
    show(find("#token-form"), find("#token-form").hidden);
    if (!find("#token-form").hidden) find("#token").focus();
  });
  find("#retry").addEventListener("click", reconnect);
  addEventListener("hashchange", () => { takeFragment(); showWho(); reconnect(); });
  addEventListener("online", reconnect);
  // The line may be down or only another one: the next attempt tells.
  addEventListener("offline", () => link.abort?.abort());
  // A page that is kept for the way back must not hold its connection: a browser has six for one host.
  addEventListener("pagehide", () => { link.leaving = true; link.abort?.abort(); });
  addEventListener("pageshow", (event) => { link.leaving = false; if (event.persisted) reconnect(); });
  onBuy({ askForToken });
  setInterval(tick, 500);
  tick();
  follow();
}

begin();
