// The people of the house, and signing in by a code.

import { ask, fetchBlob, now, of } from "/web/api.js";
import { $, ago, clock, complain, doing, h, question, say, sentence, show as reveal } from "/web/dom.js";

export function people() {
  let speaker = null;
  let known = ""; // What the list was fetched for.
  let drawn = ""; // The sign-in that is seen.
  let picture = null;
  let asked = false; // A sign-in was begun here, or seen under way: how it ends is told.
  let ticking = 0;

  async function list(force = false) {
    const key = JSON.stringify([speaker.id, speaker.account, speaker.phase, speaker.pairing?.step === "ready"]);
    if (key === known && !force) return;
    known = key;
    try {
      const { accounts } = await ask("GET", "/accounts");
      const seat = document.activeElement?.dataset?.does;
      $("accounts").replaceChildren(...accounts.map(card));
      // The list is another one, and whoever came by keyboard is where he was.
      if (seat) document.querySelector(`[data-does="${CSS.escape(seat)}"]`)?.focus();
      reveal($("nobody"), !accounts.length);
    } catch (error) {
      known = "";
      complain(error);
    }
  }

  function card(account) {
    const here = speaker.account?.user === account.user;
    const does = (what, text, act, kind = "quiet") => h("button", {
      type: "button", class: kind, text, "data-does": `${what} ${account.user}`,
      "aria-label": `${text} ${account.name}`, onclick: (event) => doing(event.currentTarget, act),
    });
    const path = `/accounts/${encodeURIComponent(account.user)}`;
    const about = [
      account.name !== account.user && account.user,
      account.premium === false && "not Premium",
      { phone: "by phone", code: "by code", browser: "by browser" }[account.came_by],
      account.last_used_ms > 0 && `last used ${ago(now() - account.last_used_ms)}`,
    ].filter(Boolean).join(" · ");
    return h("li", {},
      h("div", { class: "who" },
        h("strong", { text: account.name }),
        here && h("span", { class: "mark", text: speaker.phase === "online" ? "signed in" : "here" }),
        h("span", { class: "soft", text: about })),
      h("div", { class: "row" },
        !here && does("use", "Use", async () => {
          await ask("POST", of(speaker.id, "/account"), { user: account.user });
          await list(true);
        }),
        does("rename", "Rename", async () => {
          const title = `What is ${account.name} to be called here?`;
          const name = await question({ title, yes: "Rename", value: account.name });
          if (name === null) return;
          await ask("PATCH", path, { name });
          await list(true);
        }),
        does("forget", "Forget", async () => {
          const title = `Forget ${account.name}?`;
          const text = "The account is signed out on every speaker here and removed from this machine. To come back, it has to be picked in the Spotify app or signed in again.";
          if (!await question({ title, text, yes: "Forget", danger: true })) return;
          await ask("DELETE", path);
          await list(true);
        })));
  }

  const begin = (event) => doing(event.currentTarget, async () => {
    asked = true;
    await ask("POST", of(speaker.id, "/pairing"), { way: "code" });
  });
  const cancel = (event) => doing(event.currentTarget, () => ask("DELETE", of(speaker.id, "/pairing")));
    const title = () => h("h2", { text: "Sign somebody in" });

  function steps(pairing) {
    const stop = h("button", { type: "button", class: "quiet", text: "Cancel", onclick: cancel });
    switch (pairing?.step) {
      case "asking":
        return [title(), h("p", { class: "soft", text: "Asking Spotify for a code …" }), stop];
      case "waiting":
        return waiting(pairing, stop);
      case "browser":
        return [title(), h("p", {}, "Open ", away(pairing.address, "this address"), " and sign in."), stop];
      case "signing_in":
        return [title(), h("p", { class: "soft", text: "Approved. Signing in …" })];
      case "ready":
        return [asked && speaker.account && h("p", { class: "good", text: `${pairing.name} is signed in.` }), ...offer()];
      case "failed":
        return [asked && h("p", { class: "bad", text: `${sentence(pairing.why)}: ${pairing.cure}.` }), ...offer()];
      default:
        return offer();
    }
  }

  const offer = () => [
    title(),
    h("p", { class: "soft", text: "In the Spotify app on the same network, pick this speaker. Or have a code, and sign in on any device." }),
    h("button", { type: "button", id: "pair", text: "Sign in with a code", onclick: begin }),
  ];

  function waiting(pairing, stop) {
    const image = h("img", { id: "qr", alt: `QR code that leads to ${pairing.complete_address}` });
    draw(image);
    return [
      title(),
      h("div", { id: "waiting" },
        image,
        h("div", {},
          h("p", {}, "Scan this, or open ", away(pairing.address, pairing.address.replace(/^https?:\/\//, "")), " and type"),
          h("p", { id: "code", text: pairing.code }),
          h("p", { class: "soft" }, "valid for ", h("span", { id: "countdown" })),
          h("p", { class: "bad", id: "delay" }),
          stop)),
    ];
  }

  /** Addresses come from Spotify by way of the daemon; only those of the web become links. */
  const away = (address, text) => (address.startsWith("https://")
    ? h("a", { href: address, target: "_blank", rel: "noopener noreferrer", text })
    : h("span", { text: address }));

  async function draw(image) {
    if (picture) URL.revokeObjectURL(picture);
    picture = null;
    try {
      const svg = await fetchBlob(of(speaker.id, "/pairing/qr.svg"));
      picture = URL.createObjectURL(svg);
      image.src = picture;
    } catch {
      image.hidden = true; // The code can be typed.
    }
  }

  function tick() {
    const until = speaker?.pairing?.expires_at_ms;
    if (!$("countdown") || !until) return clearInterval(ticking);
    say($("countdown"), clock(until - now()));
  }

  function pair() {
    const pairing = speaker.pairing;
    if (pairing?.step === "waiting" || pairing?.step === "signing_in") asked = true;
    const key = JSON.stringify([speaker.id, pairing?.step, pairing?.code, pairing?.address, pairing?.why, pairing?.name, !speaker.account]);
    if (key !== drawn) {
      drawn = key;
      const inside = $("pairing").contains(document.activeElement);
      $("pairing").replaceChildren(...steps(pairing).filter(Boolean));
      if (inside) $("pairing").querySelector("button")?.focus();
      clearInterval(ticking);
      ticking = setInterval(tick, 1_000);
      if (pairing?.step === "ready" && asked) say($("said"), `${pairing.name} is signed in`);
    }
    if ($("delay")) say($("delay"), pairing?.trouble ? `${sentence(pairing.trouble)}; trying again` : "");
    tick();
  }

  function show(next) {
    if (speaker?.id !== next.id) asked = false;
    speaker = next;
    if (document.body.dataset.view !== "people") return;
    list();
    pair();
  }

  return { show };
}
