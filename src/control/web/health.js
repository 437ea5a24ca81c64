// How the speaker is: what is wrong and what to do, the way to the music part by part, and the few
// things that can be set.

import { ask, now, of } from "/web/api.js";
import { $, ago, clock, doing, h, say, sentence, show as reveal } from "/web/dom.js";

/** From the phone to the music, in the words of whoever listens. */
const LAYERS = [
  ["announced", "Announced on the network"],
  ["endpoint", "Takes accounts from phones"],
  ["engine", "Player runs"],
  ["session", "Connected with Spotify"],
  ["dealer", "Hears the Spotify app"],
  ["listed", "Listed in the Spotify app"],
];
const SLEEP = [["15 minutes", 15], ["30 minutes", 30], ["45 minutes", 45], ["1 hour", 60], ["1½ hours", 90], ["2 hours", 120]];
const OUTPUTS = { card: "sound card", pipe: "pipe", wav: "file", null: "nowhere" };

export function health() {
  let speaker = null;
  let drawn = "";
  let chosen = "";

  $("sleep").addEventListener("change", () => doing($("sleep"), async () => {
    const wish = $("sleep").value;
    const body = wish === "off" || wish === "on" ? {} : wish === "end" ? { end_of_track: true } : { after_s: Number(wish) * 60 };
    await ask("POST", of(speaker.id, "/sleep"), body);
  }).then(() => { chosen = ""; sleep(); }));

  $("output").addEventListener("change", () => doing($("output"), () =>
    ask("POST", of(speaker.id, "/output"), { device: $("output").value }))
    .then(() => outputs(speaker.outputs ?? [])));

  function sleep() {
    const timer = speaker.playback?.sleep ?? "off";
    const at = timer.at?.unix_ms;
    const key = JSON.stringify([speaker.id, timer, at && Math.ceil((at - now()) / 60_000)]);
    $("sleep").disabled = !speaker.playback?.track;
    if (key === chosen || document.activeElement === $("sleep") && chosen && !at) return;
    chosen = key;
    const option = (text, value, selected) => h("option", { text, value, selected });
    $("sleep").replaceChildren(
      option("Off", "off", timer === "off"),
      ...(at ? [option(`Pauses in ${clock(Math.ceil((at - now()) / 60_000) * 60_000).replace(/:00$/, "")} min`, "on", true)] : []),
      option("After this track", "end", timer === "end_of_track"),
      ...SLEEP.map(([text, minutes]) => option(text, minutes, false)),
    );
  }

  function outputs(all) {
    for (const element of [$("output"), document.querySelector("label[for=output]")]) reveal(element, all.length > 0);
    const key = JSON.stringify(all);
    if ($("output").dataset.key === key) {
      $("output").value = all.find(({ chosen: is }) => is)?.name ?? "";
      return;
    }
    $("output").dataset.key = key;
    $("output").replaceChildren(...all.map(({ name, label, chosen: is }) =>
      h("option", { text: label || name, value: name, selected: is })));
  }

  function conditions(all) {
    const card = ({ severity, what, why, cure, since_ms: since }) => h("div", { class: `condition ${severity}` },
      h("strong", { text: sentence(what) }),
      why && h("p", { text: sentence(why) }),
      cure && h("p", { class: "cure", text: sentence(cure) }),
      h("small", { class: "soft", text: `since ${ago(now() - since)}`.replace("since just now", "just now").replace(" ago", "") }));
    return all.length ? all.map(card) : [h("p", { class: "good", text: "Nothing is wrong." })];
  }

  function layer([key, name]) {
    const { state = "unknown", why } = speaker.presence?.[key] ?? {};
    const word = { ok: "fine", failed: "not working", unknown: "not needed now" }[state];
    return h("li", { class: state },
      h("span", { text: name }),
      h("span", { class: "soft", text: why ? `${word}: ${why}` : word }));
  }

  function facts() {
    const rows = [
      ["Sound goes to", OUTPUTS[speaker.output] ?? speaker.output],
      ["Streams at most", speaker.bitrate && `${speaker.bitrate} kbit/s`],
      ["Signed in", speaker.account?.name ?? "nobody"],
      ["Found at", speaker.addresses.join(", ") || "no address"],
    ];
    return rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]);
  }

  function show(next, house) {
    speaker = next;
    const all = [...next.conditions, ...house.conditions];
    all.sort((one, other) => (other.severity === "trouble") - (one.severity === "trouble"));
    const troubles = all.filter(({ severity }) => severity === "trouble").length;
    reveal($("troubles"), troubles > 0);
    say($("troubles"), `${troubles}`);
    if (document.body.dataset.view !== "speaker") return;
    sleep();
    outputs(next.outputs ?? []);
    const key = JSON.stringify([all, next.presence, next.output, next.bitrate, next.account?.name, next.addresses]);
    if (key === drawn) return;
    drawn = key;
    $("conditions").replaceChildren(h("h2", { text: "How it is" }), ...conditions(all));
    $("layers").replaceChildren(...LAYERS.map(layer));
    $("facts").replaceChildren(...facts());
  }

  return { show };
}
