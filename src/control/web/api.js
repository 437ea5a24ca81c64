// The way to the daemon: the token, questions and orders, and the stream of what happens.
//
// Events are read by fetch and not by EventSource: that one sends no headers, and a token in an
// address ends up in logs and histories. What EventSource would do is little, and done below:
// lines, Last-Event-ID, and coming back.

const KEY = "siskin-token";
/** The daemon says something every 15 s; nothing for so long, and the line is dead. */
const SILENCE_MS = 40_000;
/** For the head of an answer. */
const ANSWER_MS = 10_000;
/** A page that nobody has looked at for so long lets go: a browser has six connections a house. */
const UNSEEN_MS = 300_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

let token = kept();
let offset = 0;
let locked = () => {};

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // Storage is forbidden: the token lives as long as the page.
  }
}

export function keep(given) {
  token = given;
  try {
    if (given) localStorage.setItem(KEY, given);
    else localStorage.removeItem(KEY);
  } catch { /* as above */ }
}

/** Takes `#token=…` out of the address, at once: it is to be in no bookmark and on no screen. */
export function fromAddress() {
  const given = /^#token=([0-9a-zA-Z]+)$/.exec(location.hash);
  if (!given) return false;
  history.replaceState(null, "", location.pathname);
  keep(given[1]);
  return true;
}

/** The daemon's clock, in Unix ms: times in the state are by that one. */
export const now = () => Date.now() + offset;

/** A no of the daemon: why, and what to do. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `the daemon answered with status ${status}`);
    this.status = status;
    this.code = error?.code ?? "";
    this.help = error?.help ?? "";
  }
}

async function send(method, path, body, limit = 25_000) {
  const request = { method, cache: "no-store", headers: { Authorization: `Bearer ${token}` } };
  if (method !== "GET") {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body ?? {});
  }
  request.signal = AbortSignal.timeout(limit);
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, request);
  } catch {
    throw new Refused(0, { message: "the daemon does not answer", help: "it is tried again by itself" });
  }
  if (answer.ok) return answer;
  if (answer.status === 401) lock();
  const told = await answer.json().catch(() => null);
  throw new Refused(answer.status, told?.error);
}

export const ask = async (method, path, body, limit) => (await send(method, path, body, limit)).json();
export const fetchBlob = async (path) => (await send("GET", path)).blob();
export const of = (speaker, what) => `/speakers/${encodeURIComponent(speaker)}${what}`;

function lock() {
  const wrong = Boolean(token);
  keep(null);
  locked(wrong);
}

/**
 * Tells what happens, for ever: `snapshot`, `speaker` and `house` with what the daemon sent, `up` and
 * `down(ms)` for the line, `locked(wrong)` when a token is needed.
 * @returns {() => void} to be called when trying at once makes sense
 */
export function follow(on) {
  let last = null;
  let pause = FIRST_PAUSE_MS;
  let wake = () => {};
  let line = null;
  let heardAt = 0;
  let resting = false;
  let rest = 0;
  locked = on.locked;

  document.addEventListener("visibilitychange", () => {
    clearTimeout(rest);
    resting = false;
    if (document.hidden) rest = setTimeout(leave, UNSEEN_MS);
  });
  // A page that was left stays in the browser's memory, and so would its line.
  const leave = () => { resting = true; line?.abort(); };
  addEventListener("pagehide", leave);
  addEventListener("pageshow", () => { resting = false; wake(); });

  const asleep = (ms) => new Promise((awake) => {
    const timer = ms === Infinity ? 0 : setTimeout(awake, ms);
    wake = () => { clearTimeout(timer); awake(); };
  });

  async function listen() {
    line = new AbortController();
    const begun = Date.now();
    let limit = ANSWER_MS;
    heardAt = begun;
    const watch = setInterval(() => {
      if (Date.now() - heardAt > limit) line.abort();
    }, 1_000);
    try {
      const headers = { Authorization: `Bearer ${token}` };
      if (last) headers["Last-Event-ID"] = last;
      const answer = await fetch("/api/v1/events", { headers, signal: line.signal, cache: "no-store" });
      if (answer.status === 401) return lock();
      if (!answer.ok) return;
      const there = Number(answer.headers.get("siskin-now-ms"));
      if (there) offset = there - (begun + Date.now()) / 2;
      limit = SILENCE_MS;
      pause = FIRST_PAUSE_MS;
      on.up();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { value, done } = await reader.read();
        if (done) return;
        heardAt = Date.now();
        const events = (text + value).split("\n\n");
        text = events.pop();
        events.forEach(tell);
      }
    } catch { /* The line broke; whoever waits is told by `down`. */ } finally {
      clearInterval(watch);
      line = null;
    }
  }

  function tell(event) {
    const field = (name) => event.split("\n").find((one) => one.startsWith(name))?.slice(name.length);
    const [kind, id, data] = [field("event: "), field("id: "), field("data: ")];
    if (!kind || !data) return;
    last = id ?? last;
    on[kind]?.(JSON.parse(data));
  }

  (async () => {
    for (;;) {
      if (!token) {
        on.locked(false);
        last = null;
        await asleep(Infinity);
        continue;
      }
      if (resting) {
        await asleep(Infinity);
        continue;
      }
      await listen();
      if (!token || resting) continue;
      // Not all pages of a house at the same moment.
      const wait = pause * (0.75 + Math.random() / 2);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      on.down(wait);
      await asleep(wait);
    }
  })();

  return () => {
    // A phone that was in a pocket has a line that looks alive.
    if (line && Date.now() - heardAt > 20_000) line.abort();
    pause = FIRST_PAUSE_MS;
    wake();
  };
}
