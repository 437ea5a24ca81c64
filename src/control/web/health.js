// How the speaker is: what is wrong and what to do, the way to the music part by part, and the few
// things that can be set.

import { ask, now, of } from "/web/api.js";
import { $, ago, clock, complain, doing, h, question, say, sentence, show as reveal } from "/web/dom.js";

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
/** Seconds of a fade before the timer; none said: as the speaker is configured. */
const FADES = [["As configured", ""], ["Not at all", 0], ["20 seconds", 20], ["1 minute", 60], ["2 minutes", 120], ["5 minutes", 300], ["10 minutes", 600]];
/** Characters of a speaker's name. */
const NAME = 64;
const OUTPUTS = { card: "sound card", pipe: "pipe", wav: "file", null: "nowhere" };

export function health() {
  let speaker = null;
  let drawn = "";
  let chosen = "";
  let looked = ""; // The speaker whose sound cards were looked for since this view was opened.

  $("rename").addEventListener("click", () => doing($("rename"), async () => {
    const { id, name: before } = speaker;
    const title = `What is ${before} to be called?`;
    const text = "Phones show the new name at once; the music goes on. Without a name, it is called as the configuration says.";
    const name = await question({ title, text, yes: "Rename", value: before, most: NAME });
    if (name === null || name === before) return;
    await ask("POST", of(id, "/name"), { name });
    say($("said"), name ? `It is called ${name} now` : "It is called as configured now");
  }));

  $("sleep").addEventListener("change", () => doing($("sleep"), async () => {
    const wish = $("sleep").value;
    const body = wish === "off" || wish === "on" ? {} : wish === "end" ? { end_of_track: true } : { after_s: Number(wish) * 60 };
    await ask("POST", of(speaker.id, "/sleep"), faded(body));
  }).then(() => { chosen = ""; sleep(); }));

  // Without a timer it is kept for the next one.
  $("fade").addEventListener("change", () => {
    const timer = speaker.playback?.sleep ?? "off";
    const body = timer === "end_of_track" ? { end_of_track: true } : { after_s: Math.max(1, Math.ceil((timer.at?.unix_ms - now()) / 1000)) };
    if (timer !== "off") doing($("fade"), () => ask("POST", of(speaker.id, "/sleep"), faded(body)));
  });

  for (const [text, seconds] of FADES) $("fade").append(h("option", { text, value: seconds }));

  /** With the fade that was chosen, which is never longer than the time itself. */
  function faded(body) {
    const fade = $("fade").value;
    if (fade === "" || !body.after_s && !body.end_of_track) return body;
    return { ...body, fade_s: Math.min(Number(fade), body.after_s ?? Infinity) };
  }

  $("output").addEventListener("change", () => doing($("output"), () =>
    ask("POST", of(speaker.id, "/output"), { device: $("output").value }))
    .then(() => outputs(speaker.outputs ?? [])));

  function sleep() {
    const timer = speaker.playback?.sleep ?? "off";
    const at = timer.at?.unix_ms;
    const fade = speaker.playback?.sleep_fade_ms;
    const key = JSON.stringify([speaker.id, timer, fade, at && Math.ceil((at - now()) / 60_000)]);
    $("sleep").disabled = !speaker.playback?.track;
    if (key === chosen || document.activeElement === $("sleep") && chosen && !at) return;
    chosen = key;
    const option = (text, value, selected) => h("option", { text, value, selected });
    $("sleep").replaceChildren(
      option("Off", "off", timer === "off"),
      ...(at ? [option(`Pauses in ${clock(Math.ceil((at - now()) / 60_000) * 60_000).replace(/:00$/, "")} min${fade ? `, fades for ${fade < 120_000 ? `${Math.round(fade / 1000)} s` : `${Math.round(fade / 60_000)} min`}` : ""}`, "on", true)] : []),
      option("After this track", "end", timer === "end_of_track"),
      ...SLEEP.map(([text, minutes]) => option(text, minutes, false)),
    );
  }

  /** Sound cards come and go, and are looked for when somebody wants to see them. */
  async function look() {
    if (looked === speaker.id) return;
    looked = speaker.id;
    try {
      await ask("GET", of(speaker.id, "/outputs"));
    } catch (error) {
      complain(error);
    }
  }

  function outputs(all) {
    for (const element of [$("output"), document.querySelector("label[for=output]")]) reveal(element, all.length > 0);
    const key = JSON.stringify(all);
    if ($("output").dataset.key === key) {
      $("output").value = all.find(({ chosen: is }) => is)?.name ?? "";
      return;
    }
    $("output").dataset.key = key;
    const words = (name, about) => (name === "default" ? `As configured: ${about}` : [about, name].filter(Boolean).join(" – "));
    $("output").replaceChildren(...all.map(({ name, about, chosen: is }) =>
      h("option", { text: words(name, about), value: name, selected: is })));
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
    const { sound } = speaker;
    const stream = speaker.playback?.track?.stream;
    const gain = stream?.gain_db;
    const rows = [
      ["Sound goes to", OUTPUTS[speaker.output] ?? speaker.output],
      ["Opened last", sound && `${sound.device} (${sound.rate} Hz, ${sound.format})`],
      ["Streams at most", speaker.bitrate && `${speaker.bitrate} kbit/s`],
      ["This track", stream && `${stream.codec === "mp3" ? "MP3" : "Ogg Vorbis"}, ${stream.kbps} kbit/s`],
      ["Made louder by", typeof gain === "number" && `${gain.toFixed(1).replace("-", "−")} dB`],
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
    if (document.body.dataset.view !== "speaker") {
      looked = "";
      return;
    }
    say($("own"), next.name);
    look();
    sleep();
    outputs(next.outputs ?? []);
    const key = JSON.stringify([all, next.presence, next.output, next.bitrate, next.account?.name, next.addresses, next.sound, next.playback?.track?.stream]);
    if (key === drawn) return;
    drawn = key;
    $("conditions").replaceChildren(h("h2", { text: "How it is" }), ...conditions(all));
    $("layers").replaceChildren(...LAYERS.map(layer));
    $("facts").replaceChildren(...facts());
  }

  return { show };
}
