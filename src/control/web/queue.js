// What was, what is and what comes; and playing something by its link.

import { ask, of } from "/web/api.js";
import { $, clock, doing, h } from "/web/dom.js";

/** Names that are asked for at once, and kept in all. */
const AT_ONCE = 20;
const KEPT = 400;
const SHOWN_BEFORE = 3;
const FROM = /^spotify:(album|playlist|show|artist):/;

export function queue() {
  const names = new Map(); // URI → track, or null where nothing is known.
  let asking = false;
  let drawn = "";
  let speaker = null;

  $("load").addEventListener("submit", (event) => {
    event.preventDefault();
    give(event.submitter, "/play");
  });
  $("enqueue").addEventListener("click", (event) => {
    if ($("load").reportValidity()) give(event.currentTarget, "/queue");
  });
  const give = (button, path) => doing(button, async () => {
    await ask("POST", of(speaker.id, path), { uri: $("link").value });
    $("link").value = "";
  });

  /** Names of what is shown are asked for once, and only while somebody looks. */
  async function learn(uris) {
    const unknown = [...new Set(uris)].filter((uri) => !names.has(uri)).slice(0, AT_ONCE);
    if (asking || !unknown.length || speaker.phase !== "online") return;
    asking = true;
    try {
      const query = unknown.map((uri) => `uri=${encodeURIComponent(uri)}`).join("&");
      const { tracks } = await ask("GET", of(speaker.id, `/tracks?${query}`));
      unknown.forEach((uri, at) => names.set(uri, tracks[at]));
    } catch {
      unknown.forEach((uri) => names.set(uri, null));
    }
    asking = false;
    for (const uri of [...names.keys()].slice(0, Math.max(0, names.size - KEPT))) names.delete(uri);
    if (speaker) show(speaker);
  }

  function row(uri, source, context) {
    const track = names.get(uri);
    const title = track?.title ?? (track === null ? uri.split(":").slice(1, 2) + " without a name" : "…");
    const label = { queue: "queued", autoplay: "autoplay" }[source];
    const inside = [
      h("span", { class: "title", text: title }),
      h("span", { class: "soft", text: track ? track.artists.join(", ") : "" }),
      label && h("span", { class: "mark", text: label }),
      h("span", { class: "soft time", text: track ? clock(track.duration_ms) : "" }),
    ];
    const jump = source === "context" && FROM.test(context ?? "");
    return h("li", {}, jump
      ? h("button", { type: "button", class: "line", "aria-label": `Play ${title}`,
        onclick: (event) => doing(event.currentTarget,
          () => ask("POST", of(speaker.id, "/play"), { uri: context, track: uri })) }, ...inside)
      : h("div", { class: "line" }, ...inside));
  }

  function show(next) {
    speaker = next;
    if (document.body.dataset.view !== "queue") return;
    const playback = next.playback;
    const before = (playback?.previous ?? []).slice(-SHOWN_BEFORE);
    const after = playback?.next ?? [];
    const track = playback?.track;
    if (track) names.set(track.uri, track);
    const uris = [...before, ...after].map(({ uri }) => uri);
    const key = JSON.stringify([next.id, playback?.context, track?.uri, before, after, uris.map((uri) => names.get(uri)?.title)]);
    if (key !== drawn) {
      drawn = key;
      const list = (name, rows, kind) => (rows.length ? [
        h("h2", { text: name }),
        h("ol", { class: `rows ${kind}` }, ...rows),
      ] : []);
      const rows = (all) => all.map(({ uri, source }) => row(uri, source, playback.context));
      $("lists").replaceChildren(
        ...list("Before", rows(before), "past"),
        ...list("Now", track ? [row(track.uri)] : [], "current"),
        ...list("Next", rows(after), ""),
        ...(track || uris.length ? [] : [h("p", { class: "soft", text: "Nothing waits to be played." })]),
      );
    }
    learn(uris);
  }

  return { show };
}
