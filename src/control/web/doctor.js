// The doctor: has everything looked at when somebody asks, and shows what was found.

import { ask } from "/web/api.js";
import { $, doing, h, say, sentence } from "/web/dom.js";

/** The daemon's own limit is 45 s. */
const LIMIT_MS = 60_000;

export function doctor() {
  let ticking = 0;

  $("examine").addEventListener("click", () => doing($("examine"), examine));

  async function examine() {
    // Eyes see the seconds go by; ears hear once that it takes a while.
    const count = h("span", { "aria-hidden": "true" });
    const begun = Date.now();
    $("examines").className = "soft";
    $("examines").replaceChildren("Looking … that may take half a minute.", count);
    $("findings").replaceChildren();
    ticking = setInterval(() => say(count, ` ${Math.round((Date.now() - begun) / 1_000)} s`), 1_000);
    try {
      draw(await ask("POST", "/doctor", {}, LIMIT_MS));
    } catch (error) {
      say($("examines"), "");
      throw error;
    } finally {
      clearInterval(ticking);
    }
  }

  function draw({ healthy, findings, facts }) {
    const troubles = findings.filter(({ severity }) => severity === "trouble");
    const notices = findings.filter(({ severity }) => severity !== "trouble");
    const several = troubles.length > 1 ? `${troubles.length} things are wrong; the first is often the cause of the others.` : "One thing is wrong.";
    $("examines").className = healthy ? "good" : "bad";
    say($("examines"), healthy ? "The doctor found nothing wrong." : several);
    $("findings").replaceChildren(
      ...[...troubles, ...notices].map(finding),
      facts.length ? h("details", {},
        h("summary", { text: "What was looked at" }),
        h("ul", {}, ...facts.map((fact) => h("li", { text: fact })))) : "",
    );
    $("findings").firstElementChild?.scrollIntoView({ block: "nearest" });
  }

  const finding = ({ code, severity, what, why, cure }) => h("div", { class: `condition ${severity}`, "data-code": code },
    h("strong", { text: sentence(what) }),
    why && h("p", { text: sentence(why) }),
    cure && h("p", { class: "cure", text: sentence(cure) }));

  // What was found is about the machine, and stays while speakers are looked at.
  return { show() {} };
}
