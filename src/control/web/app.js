// The page: keeps the state that the daemon tells, and has each part show what is its own.

import { follow, fromAddress, keep } from "/web/api.js";
import { $, clock, h, icon, say, show } from "/web/dom.js";
import { doctor } from "/web/doctor.js";
import { health } from "/web/health.js";
import { people } from "/web/people.js";
import { player } from "/web/player.js";
import { queue } from "/web/queue.js";

const PARTS = [player(), queue(), people(), health(), doctor()];
const WIDE = matchMedia("(min-width: 900px) and (min-height: 430px)");

let house = null;
let chosen = remembered("speaker") ?? "";
let away = 0;
let wanted = "playing"; // The view that was asked for; on a desktop, another may stand for it.

function remembered(key) {
  try {
    return localStorage.getItem(`siskin-${key}`);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`siskin-${key}`, value);
  } catch { /* Then it holds until the page is closed. */ }
}

const speaker = () => house?.speakers.find(({ id }) => id === chosen) ?? house?.speakers[0];

function draw() {
  const now = speaker();
  if (!now) return;
  chosen = now.id;
  say($("name"), now.name);
  tabs();
  for (const part of PARTS) part.show(now, house);
}

/** One tab a speaker, where there are several. */
function tabs() {
  const list = $("speakers");
  const several = house.speakers.length > 1;
  show(list, several);
  $("name").classList.toggle("unseen", several);
  const drawn = [...list.children].map((tab) => `${tab.dataset.id} ${tab.textContent}`).join();
  const wanted = house.speakers.map(({ id, name }) => `${id} ${name}`).join();
  if (drawn !== wanted) {
    list.replaceChildren(...house.speakers.map(({ id, name }) => h("button", {
      type: "button", role: "tab", "data-id": id, "aria-controls": "main", text: name,
      onclick: () => choose(id),
    })));
  }
  for (const tab of list.children) {
    const on = tab.dataset.id === chosen;
    tab.setAttribute("aria-selected", on);
    tab.tabIndex = on ? 0 : -1;
    const playing = house.speakers.find(({ id }) => id === tab.dataset.id)?.playback?.state === "playing";
    tab.classList.toggle("sounds", playing);
  }
}

function choose(id) {
  chosen = id;
  remember("speaker", id);
  draw();
}

$("speakers").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const all = [...event.currentTarget.children];
  const at = all.findIndex((tab) => tab.dataset.id === chosen) + step;
  const next = all[(at + all.length) % all.length];
  choose(next.dataset.id);
  next.focus();
});

function view(name) {
  // Where there is room for two, what plays is always seen.
  wanted = name;
  const panel = WIDE.matches && name === "playing" ? "queue" : name;
  document.body.dataset.view = panel;
  for (const button of $("views").children) {
    if (button.dataset.view === panel) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  if (house) draw();
}

$("views").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) view(button.dataset.view);
});
document.addEventListener("siskin-view", (event) => view(event.detail));
WIDE.addEventListener("change", () => view(wanted));

/** As the system has it, light, dark, and round again. */
function theme(wish) {
  const words = { auto: "as the system", light: "light", dark: "dark" };
  const now = words[wish] ? wish : "auto";
  document.documentElement.dataset.theme = now;
  $("theme").setAttribute("aria-label", `Colours: ${words[now]}`);
  $("theme").title = `Colours: ${words[now]}`;
  return now;
}
$("theme").addEventListener("click", () => {
  const next = { auto: "light", light: "dark", dark: "auto" }[document.documentElement.dataset.theme];
  remember("theme", theme(next));
});

/** What is seen: the page, or the door. */
function link(state, wait = 0) {
  document.body.dataset.link = state;
  show($("door"), state === "locked");
  show($("main"), state !== "locked" && Boolean(house));
  $("main").inert = state === "away";
  show($("away"), state === "away");
  clearInterval(away);
  if (state !== "away") return;
  const until = Date.now() + wait;
  const what = `${speaker()?.name ?? "The speaker"} is away`;
  // The seconds are for eyes only: ears hear once that it is away.
  const count = h("span", { "aria-hidden": "true" });
  $("away").replaceChildren(what, count);
  const tick = () => say(count, ` · trying again in ${clock(until - Date.now() + 999)}`);
  tick();
  away = setInterval(tick, 1_000);
}

for (const button of document.querySelectorAll("[data-icon]")) button.prepend(icon(button.dataset.icon));
theme(remembered("theme"));
view("playing");
fromAddress();

const hurry = follow({
  snapshot(told) {
    house = told;
    draw();
    link("up");
  },
  speaker(told) {
    const at = house?.speakers.findIndex(({ id }) => id === told.id) ?? -1;
    if (at < 0) return;
    house.speakers[at] = told;
    draw();
  },
  house(told) {
    if (house) Object.assign(house, told);
    draw();
  },
  up() {
    if (house) link("up");
  },
  down: (wait) => link("away", wait),
  locked(wrong) {
    house = null;
    link("locked");
    if (wrong) say($("wrong"), "That token is not the one of this siskin.");
    $("token").focus();
  },
});

$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  say($("wrong"), "");
  // Pasted whole, a link is as good.
  keep($("token").value.trim().replace(/^.*#token=/, ""));
  $("token").value = "";
  hurry();
});
addEventListener("hashchange", () => { if (fromAddress()) hurry(); });
addEventListener("online", hurry);
document.addEventListener("visibilitychange", () => { if (!document.hidden) hurry(); });
