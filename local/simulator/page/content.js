// What a message holds: texts, pictures, files, places, address cards.

import { h, icon } from "./dom.js";

/** WhatsApp's *bold* _italic_ ~struck~ and links, as nodes. */
function formatted(text) {
  const marks = { "*": "strong", _: "em", "~": "s" };
  const parts = text.split(/(\*[^*\n]+\*|_[^_\n]+_|~[^~\n]+~|https?:\/\/[^\s]+)/g);
  return parts.map((part) => {
    if (/^https?:/.test(part)) return h("a", { href: part, target: "_blank", rel: "noreferrer noopener" }, part);
    const tag = part.length > 2 && part.at(0) === part.at(-1) && marks[part[0]];
    return tag ? h(tag, {}, part.slice(1, -1)) : part;
  });
}

export const paragraph = (text, name) => text && h("p", { class: name }, formatted(String(text)));

/** A link only where it is one: nothing else that a business writes is ever followed. */
export const linked = (url, props, ...children) =>
  /^https?:/.test(url ?? "") ? h("a", { ...props, href: url, target: "_blank", rel: "noreferrer noopener" }, ...children) : null;

export function picture(content) {
  const own = content.link?.startsWith(`${location.origin}/`) ? content.link : undefined;
  const source = content.id ? `/simulator/media/${encodeURIComponent(content.id)}` : own;
  const shown = source
    ? h("img", { src: source, alt: content.caption || "Picture", loading: "lazy", class: "photo" })
    : file(content, "image", "Picture");
  return [shown, paragraph(content.caption, "caption")];
}

/** A file as a card: its name, or the word for what it is; one behind a link can be opened. */
export function file(content, name, word) {
  const label = [icon(name), h("span", {}, content.filename ?? content.link ?? word)];
  return linked(content.link, { class: "card" }, label) ?? h("p", { class: "card" }, label);
}

export const sound = (content) => file(content, "sound", content.voice ? "Voice note" : "Audio");

export function place(content) {
  const where = `${Number(content.latitude).toFixed(5)}, ${Number(content.longitude).toFixed(5)}`;
  return [
    h("div", { class: "map", "aria-hidden": "true" }, icon("pin")),
    h("p", { class: "caption" }, h("b", {}, content.name || "Location"), h("small", {}, content.address || where)),
  ];
}

/** Address cards: a name and whatever else there is of the person. */
export function cards(people) {
  return people.map((person) => {
    const lines = [
      ...(person.phones ?? []).map((one) => one.phone ?? one.wa_id),
      ...(person.emails ?? []).map((one) => one.email),
      ...(person.urls ?? []).map((one) => one.url),
      [person.org?.title, person.org?.company].filter(Boolean).join(", "),
    ];
    const name = person.name?.formatted_name ?? "Number shared";
    return h("div", { class: "card person" }, icon("person"),
      h("span", {}, h("b", {}, name), lines.filter(Boolean).map((line) => h("small", {}, String(line)))));
  });
}
