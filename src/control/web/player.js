// What plays: cover, names, progress, transport and volume.

import { ask, fetchBlob, now, of } from "/web/api.js";
import { $, clock, dress, doing, say, sentence, show, spoken } from "/web/dom.js";

/** Covers that are kept as the browser has them. */
const COVERS = 6;
/** A picture that did not come is asked for again after these. */
const AGAIN_MS = [2_000, 8_000, 30_000, 120_000];
/** Someone who skips through a list hears the name of where he stops. */
const SETTLED_MS = 900;
/** A slider that was let go shows its own place for so long, unless the daemon tells it sooner. */
const LET_GO_MS = 1_500;

export function player() {
  let speaker = null;
  let heard; // The track that ears were told of; undefined before the first.
  let told = 0;
  let moves = 0;
  let shown = ""; // The address of the cover that is seen.
  const covers = new Map();
  const seek = slider($("seek"), (value) => order("/seek", { position_ms: Math.round(value) }));
  const volume = slider($("volume"), (value) => order("/volume", { percent: Math.round(value) }), true);

  const order = (path, body) => ask("POST", of(speaker.id, path), body);
  const press = (id, act) => $(id).addEventListener("click", () => doing($(id), act));
  press("toggle", () => order(speaker.playback?.active ? "/toggle" : "/play"));
  press("next", () => order("/next"));
  press("previous", () => order("/previous"));
  press("mute", () => order("/mute"));
  press("shuffle", () => order("/shuffle", { on: !speaker.playback?.shuffle }));
  press("repeat", () => {
    const next = { off: "context", context: "track", track: "off" };
    return order("/repeat", { mode: next[speaker.playback?.repeat ?? "off"] });
  });
  $("trouble").firstChild.addEventListener("click", () => {
    document.dispatchEvent(new CustomEvent("siskin-view", { detail: "speaker" }));
  });
  $("hint").addEventListener("click", (event) => {
    if (!event.target.closest("button")) return;
    document.dispatchEvent(new CustomEvent("siskin-view", { detail: "people" }));
    $("pair")?.click();
  });
  addEventListener("keydown", (event) => {
    if (event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey || !speaker) return;
    const keys = { " ": "toggle", k: "toggle", m: "mute", n: "next", p: "previous" };
    const button = keys[event.key] && $(keys[event.key]);
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
  });

  function show_(next, house) {
    const other = speaker?.id !== next.id;
    speaker = next;
    const playback = next.playback;
    const track = playback?.track ?? null;
    names(next, playback, track);
    buttons(next, playback, track);
    picture(track, other);
    seek.of(next.id);
    volume.of(next.id);
    trouble(next, house);
    announce(track, playback, other);
    progress();
  }

  function names(next, playback, track) {
    say($("title"), track?.title || (next.phase === "online" ? "Nothing plays" : next.name));
    $("title").classList.toggle("idle", !track);
    say($("artist"), track ? [track.artists.join(", "), track.album].filter(Boolean).join(" — ") : words(next));
    say($("state"), track ? status(playback, next) : "");
    const lost = next.phase === "nobody" || next.phase === "refused";
    show($("hint"), lost);
    $("playing").classList.toggle("vacant", lost);
    if (lost && !$("hint").firstChild) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Sign in with a code";
      $("hint").append(button);
    }
    document.title = track ? `${track.title} – ${track.artists.join(", ")} · ${next.name}` : `${next.name} · siskin`;
  }

  function buttons(next, playback, track) {
    const playing = playback?.state === "playing" || playback?.state === "loading";
    const online = next.phase === "online";
    dress($("toggle"), playing ? "pause" : "play", playing ? "Pause" : "Play");
    $("toggle").classList.toggle("loading", playback?.state === "loading");
    const still = forbidden(playback, [playing ? "pause" : "resume"]);
    $("toggle").disabled = !online || still !== "";
    $("toggle").title = still || (playing ? "Pause" : "Play");
    $("shuffle").setAttribute("aria-pressed", Boolean(playback?.shuffle));
    const repeat = playback?.repeat ?? "off";
    dress($("repeat"), repeat === "track" ? "once" : "repeat",
      { off: "Repeat: off", context: "Repeat: all", track: "Repeat: this track" }[repeat]);
    $("repeat").setAttribute("aria-pressed", repeat !== "off");
    for (const [id, ...what] of [["next", "next"], ["previous", "previous"], ["shuffle", "shuffle"], ["repeat", "repeat_context", "repeat_track"]]) {
      const why = forbidden(playback, what);
      $(id).disabled = !online || !track || why !== "";
      $(id).title = why || $(id).getAttribute("aria-label");
    }
    const percent = next.volume_percent;
    const silent = percent === 0;
    dress($("mute"), silent ? "muted" : "volume", silent ? "Sound on" : "Mute");
    $("mute").setAttribute("aria-pressed", silent);
    $("mute").disabled = $("volume").disabled = percent === null;
    volume.set(percent ?? 0, `${percent ?? 0} %`);
    $("volume").oninput = () => say($("percent"), `${$("volume").value}`);
    if (!volume.held()) say($("percent"), percent === null ? "" : `${percent}`);
    $("seek").title = forbidden(playback, ["seek"]);
    $("seek").disabled = !track || !online || $("seek").title !== "";
    $("seek").max = track?.duration_ms ?? 1;
  }

  function progress() {
    const playback = speaker?.playback;
    const track = playback?.track;
    const length = track?.duration_ms ?? 0;
    const gone = !playback || !track ? 0
      : Math.min(length, playback.position_ms + (playback.state === "playing" ? Math.max(0, now() - playback.at_ms) : 0));
    const at = seek.held() ? Number($("seek").value) : gone;
    seek.set(gone, `${spoken(at)} of ${spoken(length)}`);
    say($("gone"), clock(at));
    say($("left"), track ? `−${clock(length - Math.floor(at / 1000) * 1000)}` : clock(0));
    clearTimeout(moves);
    // Four times a second: as much as eyes notice, and little enough for a small machine.
    if (playback?.state === "playing" && !document.hidden) moves = setTimeout(progress, 250);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && speaker) progress(); });

  async function picture(track, other, tries = 0) {
    const address = track?.covers[0] ?? "";
    if (address === shown && !other && !tries) return;
    shown = address;
    if (!address) return draw(null, track);
    if (covers.has(address)) return draw(covers.get(address), track);
    const id = speaker.id;
    try {
      const blob = await fetchBlob(of(id, `/cover?size=large&of=${encodeURIComponent(track.uri)}`));
      const cover = { url: URL.createObjectURL(blob), tint: await tint(blob) };
      covers.set(address, cover);
      if (covers.size > COVERS) {
        const [oldest, { url }] = covers.entries().next().value;
        covers.delete(oldest);
        URL.revokeObjectURL(url);
      }
      if (shown === address) draw(cover, track);
    } catch {
      // A track without a picture is no trouble of the listener.
      if (shown !== address || speaker.id !== id) return;
      draw(null, track);
      const again = () => { if (shown === address && speaker.id === id) picture(track, false, tries + 1); };
      if (AGAIN_MS[tries]) setTimeout(again, AGAIN_MS[tries]);
    }
  }

  function draw(cover, track) {
    const image = $("cover").firstElementChild;
    show(image, Boolean(cover));
    if (cover) {
      image.src = cover.url;
      image.alt = `Cover of ${track.album || track.title}`;
    } else image.removeAttribute("src");
    document.documentElement.style.setProperty("--tint", cover?.tint ?? "");
  }

  function trouble(next, house) {
    const all = [...next.conditions, ...house.conditions];
    const first = all.find(({ severity }) => severity === "trouble");
    show($("trouble"), Boolean(first));
    if (first) say($("trouble").firstChild, sentence(first.what));
  }

  /** Ears are told of another track once it stays, and of nothing that they have asked for. */
  function announce(track, playback, other) {
    const name = track && playback.state !== "stopped" ? track.uri : null;
    if (name === heard && !other) return;
    const first = heard === undefined;
    heard = name;
    clearTimeout(told);
    if (first || !name) return;
    told = setTimeout(() => say($("said"), `${track.title}, by ${track.artists.join(", ")}`), SETTLED_MS);
  }

  return { show: show_ };
}

/** Why Spotify allows none of that at present, in words; empty where it does. */
function forbidden(playback, what) {
  const found = playback?.active ? (playback.restrictions ?? []).filter((one) => what.includes(one.what)) : [];
  return found.length === what.length ? `Spotify does not allow that now (${found[0].why})` : "";
}

function words(speaker) {
  return {
    nobody: "Pick it in the Spotify app, or sign in with a code.",
    signing_in: "Signing in to Spotify …",
    online: `Pick ${speaker.name} in the Spotify app, or play a link.`,
    retrying: "Connecting to Spotify again …",
    refused: "Spotify does not let the account in any more.",
  }[speaker.phase] ?? "";
}

function status(playback, speaker) {
  if (speaker.phase !== "online") return words(speaker);
  if (!playback.active) return "Not playing here";
  const state = { stopped: "Stopped", loading: "Loading", playing: "Playing", paused: "Paused" }[playback.state];
  const who = speaker.account?.name;
  return who ? `${state} for ${who}` : state;
}

/**
 * A slider that follows the daemon, unless a finger is on it. While dragged, `eager` ones tell the
 * newest place as fast as the daemon takes it; others when let go.
 */
function slider(input, tell, eager = false) {
  let held = false;
  let until = 0;
  let busy = false;
  let wanted = null;
  let whose = "";

  const fill = () => {
    const share = (Number(input.value) - input.min) / (input.max - input.min || 1);
    input.style.setProperty("--fill", `${share * 100}%`);
  };
  async function send() {
    wanted = Number(input.value);
    until = Date.now() + LET_GO_MS;
    if (busy) return;
    busy = true;
    while (wanted !== null) {
      const value = wanted;
      wanted = null;
      await doing(null, () => tell(value));
    }
    busy = false;
    if (!held) until = 0;
  }
  input.addEventListener("pointerdown", () => { held = true; });
  for (const end of ["pointerup", "pointercancel", "blur"]) input.addEventListener(end, () => { held = false; });
  input.addEventListener("input", () => {
    until = Date.now() + LET_GO_MS;
    fill();
    if (eager) send();
  });
  input.addEventListener("change", () => { held = false; send(); });
  const isHeld = () => held || Date.now() < until;
  return {
    held: isHeld,
    /** Another speaker's slider: what was held is not held any more. */
    of(id) {
      if (id !== whose) [whose, held, until] = [id, false, 0];
    },
    set(value, text) {
      if (!isHeld()) input.value = value;
      if (input.getAttribute("aria-valuetext") !== text) input.setAttribute("aria-valuetext", text);
      fill();
    },
  };
}

/** The colour that a picture is remembered by: the mean of its dots, the colourful ones first. */
async function tint(blob) {
  const side = 12;
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, side, side);
  bitmap.close();
  const dots = context.getImageData(0, 0, side, side).data;
  const sum = [0, 0, 0];
  let all = 0;
  for (let at = 0; at < dots.length; at += 4) {
    const dot = [dots[at], dots[at + 1], dots[at + 2]];
    const weight = 4 + Math.max(...dot) - Math.min(...dot);
    dot.forEach((value, channel) => { sum[channel] += value * weight; });
    all += weight;
  }
  return `rgb(${sum.map((value) => Math.round(value / all)).join(" ")})`;
}
