// Small things that all parts of the page use: elements, icons, words for times, questions.

const SVG = "http://www.w3.org/2000/svg";

/** Filled shapes begin with "!"; the others are strokes. */
const ICONS = {
  play: "!M8.5 5.2v13.6L19 12z",
  pause: "!M7.5 5h3.2v14H7.5zM13.3 5h3.2v14h-3.2z",
  next: "!M6.5 5.5v13L15 12zM15.8 5.5h2.2v13h-2.2z",
  previous: "!M17.5 5.5v13L9 12zM6 5.5h2.2v13H6z",
  shuffle: "M3 7h3.2c4.8 0 5.5 10 10.3 10H21M3 17h3.2c1.5 0 2.6-.9 3.5-2.2M13.3 9.2C14.2 7.9 15.2 7 16.5 7H21M18.3 4.3 21 7l-2.7 2.7M18.3 14.3 21 17l-2.7 2.7",
  repeat: "M4 11V9.5A3.5 3.5 0 0 1 7.5 6H20M17 3l3 3-3 3M20 13v1.5a3.5 3.5 0 0 1-3.5 3.5H4M7 21l-3-3 3-3",
  once: "M4 11V9.5A3.5 3.5 0 0 1 7.5 6H20M17 3l3 3-3 3M20 13v1.5a3.5 3.5 0 0 1-3.5 3.5H4M7 21l-3-3 3-3M11 10.8l1.5-.8v4.5",
  volume: "M4 9.5v5h3.3l4.2 3.8V5.7L7.3 9.5zM15 9.2a4 4 0 0 1 0 5.6M17.6 6.6a7.6 7.6 0 0 1 0 10.8",
  muted: "M4 9.5v5h3.3l4.2 3.8V5.7L7.3 9.5zM15.5 9.5l5 5M20.5 9.5l-5 5",
  note: "M9 17.5V6.2L19.5 4v11.3M9 17.5a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0zM19.5 15.3a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0z",
  queue: "M4 6.5h16M4 12h16M4 17.5h10",
  people: "M9 11a3.3 3.3 0 1 0 0-6.6A3.3 3.3 0 0 0 9 11zM2.8 19.5c.4-3.3 2.9-5.2 6.2-5.2s5.8 1.9 6.2 5.2M15.8 4.8a3.3 3.3 0 0 1 0 5.9M17.6 14.6c2.1.7 3.3 2.4 3.6 4.9",
  speaker: "M7.5 3h9A1.5 1.5 0 0 1 18 4.5v15a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 6 19.5v-15A1.5 1.5 0 0 1 7.5 3zM12 17.5a3.3 3.3 0 1 0 0-6.6 3.3 3.3 0 0 0 0 6.6zM12 7h.01",
  theme: "M12 3.8a8.2 8.2 0 1 0 0 16.4 8.2 8.2 0 0 0 0-16.4zM12 3.8v16.4M12.5 8h6.2M12.5 12h7.4M12.5 16h6.2",
};

export const $ = (id) => document.getElementById(id);

/** An element. `on…` are listeners, `text` is text, the rest attributes; children may be empty. */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

export function icon(name) {
  const path = document.createElementNS(SVG, "path");
  const shape = ICONS[name];
  const filled = shape.startsWith("!");
  path.setAttribute("d", filled ? shape.slice(1) : shape);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.toggle("filled", filled);
  svg.append(path);
  return svg;
}

/** Gives a button another icon and another name, if they are others. */
export function dress(button, name, label) {
  if (button.dataset.icon !== name) {
    button.dataset.icon = name;
    button.querySelector("svg")?.remove();
    button.prepend(icon(name));
  }
  if (label && button.getAttribute("aria-label") !== label) {
    button.setAttribute("aria-label", label);
    button.title = label;
  }
}

/** Writes only what is different: screen readers and selections are left alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, is) {
  if (element.hidden === is) element.hidden = !is;
}

/** 61 000 → "1:01". */
export function clock(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** 61 000 → "1 minute 1 second", for ears. */
export function spoken(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const part = (count, word) => (count ? `${count} ${word}${count === 1 ? "" : "s"}` : "");
  return [part(Math.floor(all / 60), "minute"), part(all % 60, "second")].filter(Boolean).join(" ") || "0 seconds";
}

/** How long ago, roughly. */
export function ago(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / 1440)} days ago`;
}

/** Tells a no for a while. */
export function complain(error) {
  const toast = h("div", { class: "toast" },
    h("strong", { text: sentence(error.message) }),
    error.help && h("span", { text: sentence(error.help) }),
    h("button", { type: "button", class: "plain", "aria-label": "Dismiss", text: "×", onclick: () => toast.remove() }));
  const toasts = $("toasts");
  while (toasts.childElementCount > 2) toasts.firstChild.remove();
  toasts.append(toast);
  setTimeout(() => toast.remove(), 9_000);
}

export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

/** Has `work` done by a button, which cannot be pressed again meanwhile; a no is told. */
export async function doing(button, work) {
  if (button?.getAttribute("aria-busy") === "true") return undefined;
  button?.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    complain(error);
    return undefined;
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

/** Asks a question in front of everything; what was typed (or "yes"), or null. */
export function question({ title, text, yes, danger, value, most = 60 }) {
  const dialog = $("dialog");
  const input = value === undefined ? null
    : h("input", { type: "text", value, maxlength: most, "aria-labelledby": "asks", autofocus: true });
  const form = h("form", { method: "dialog" },
    h("h2", { id: "asks", text: title }),
    text && h("p", { text }),
    input,
    h("div", { class: "row end" },
      h("button", { value: "no", class: "quiet", formnovalidate: true, text: "Cancel" }),
      h("button", { value: "yes", class: danger ? "danger" : "", text: yes })));
  // Return in the field means yes, though Cancel comes first.
  input?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); dialog.close("yes"); }
  });
  dialog.replaceChildren(form);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answered) => {
    dialog.addEventListener("close", () => {
      answered(dialog.returnValue === "yes" ? (input ? input.value : "yes") : null);
    }, { once: true });
  });
}
