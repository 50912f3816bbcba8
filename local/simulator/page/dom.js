// Elements from data. Text only ever becomes a text node: nothing a person or a business writes is
// read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (`class`, `data`, `on`, `aria…` and plain ones) and children. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "on") for (const [kind, act] of Object.entries(value)) element.addEventListener(kind, act);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== "" && child !== false));
  return element;
}

/** One of the sprite's icons. */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  return svg;
}

/** Make `wanted` the children of `list`; what stays in its order is not touched and keeps the focus. */
export function arrange(list, wanted) {
  const kept = new Set(wanted);
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, place) => {
    if (list.children[place] !== child) list.insertBefore(child, list.children[place] ?? null);
  });
}

export const find = (id) => document.getElementById(id);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const precise = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** Unix seconds as people read them. */
export const timeOf = (seconds) => clock.format(seconds * 1000);
export const secondOf = (seconds) => precise.format(seconds * 1000);

export function dayOf(seconds) {
  const today = new Date().toDateString();
  const then = new Date(seconds * 1000);
  return then.toDateString() === today ? "Today" : day.format(then);
}

/** The letters and the colour a face without a picture gets. */
export function face(name, extra = "") {
  const words = name.replace(/[^\p{L}\p{N} ]/gu, "").split(" ").filter(Boolean);
  const letters = words.slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();
  let mix = 0;
  for (const character of name) mix = (mix * 11 + character.codePointAt(0)) % 9973;
  return { letters: letters || "?", className: `face tint${mix % 6} ${extra}`.trim() };
}
