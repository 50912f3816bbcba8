// One message as a bubble of the chat.

import { h, icon, timeOf } from "./dom.js";

export const EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

const TICKS = {
  accepted: ["clock", "accepted"],
  sent: ["tick", "sent"],
  delivered: ["ticks", "delivered"],
  read: ["ticks", "read"],
  failed: ["cross", "failed"],
};

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

const paragraph = (text, name) => text && h("p", { class: name }, formatted(String(text)));

function picture(content) {
  const own = content.link?.startsWith(`${location.origin}/`) ? content.link : undefined;
  const source = content.id ? `/simulator/media/${encodeURIComponent(content.id)}` : own;
  const shown = source
    ? h("img", { src: source, alt: content.caption || "Picture", loading: "lazy", class: "photo" })
    : h("a", { class: "card", href: content.link ?? "#", target: "_blank", rel: "noreferrer noopener" }, icon("image"), h("span", {}, content.link ?? "Picture"));
  return [shown, paragraph(content.caption, "caption")];
}

function place(content) {
  const where = `${Number(content.latitude).toFixed(5)}, ${Number(content.longitude).toFixed(5)}`;
  return [
    h("div", { class: "map", "aria-hidden": "true" }, icon("pin")),
    h("p", { class: "caption" }, h("b", {}, content.name || "Location"), h("small", {}, content.address || where)),
  ];
}

function header(part) {
  if (!part) return null;
  if (part.type === "text") return h("p", { class: "headline" }, part.text ?? "");
  return part.type === "image" ? picture(part.image ?? {}) : h("p", { class: "headline" }, part.type);
}

function interactive(content) {
  if (content.button_reply || content.list_reply) {
    const reply = content.button_reply ?? content.list_reply;
    return [paragraph(reply.title), reply.description && h("small", {}, reply.description)];
  }
  return [header(content.header), paragraph(content.body?.text), paragraph(content.footer?.text, "footer")];
}

function template(content) {
  const values = (content.components ?? []).flatMap((part) => part.parameters ?? []);
  const texts = values.map((value) => value.text ?? value.payload ?? value.type).join(" · ");
  return [
    h("p", { class: "headline" }, `Template ${content.name ?? ""}`),
    paragraph(texts),
    h("p", { class: "footer" }, content.language?.code ?? ""),
  ];
}

function body(message) {
  const { type, content } = message;
  switch (type) {
    case "text": return paragraph(content.body);
    case "button": return paragraph(content.text);
    case "image":
    case "sticker": return picture(content);
    case "location": return place(content);
    case "interactive": return interactive(content);
    case "template": return template(content);
    default: return [h("p", { class: "headline" }, type), h("pre", {}, JSON.stringify(content, null, 1))];
  }
}

/** The choices an interactive message of the business offers below its bubble. */
function choices(message, acts) {
  if (message.author !== "business" || message.type !== "interactive") return null;
  const { type, action = {} } = message.content;
  const answered = acts.answerTo(message);
  const choice = (label, act, { name, used = false, chosen = false } = {}) =>
    h("button", { type: "button", disabled: used, class: chosen ? "choice chosen" : "choice", on: { click: act } }, name && icon(name), label);
  if (type === "button") {
    return (action.buttons ?? []).map(({ reply = {} }) =>
      choice(reply.title, () => acts.send({ type: "button", button_id: reply.id, reply_to: message.id }), {
        name: "reply", used: answered !== undefined, chosen: answered === reply.id,
      }));
  }
  if (type === "list") return choice(action.button, () => acts.openList(message), { name: "list" });
  if (type === "location_request_message") return choice("Send location", () => acts.openPlace(message.id), { name: "pin" });
  if (type === "cta_url") {
    const { display_text: label, url } = action.parameters ?? {};
    return /^https?:/.test(url ?? "") ? h("a", { class: "choice", href: url, target: "_blank", rel: "noreferrer noopener" }, icon("link"), label) : null;
  }
  return null;
}

function ticks(message) {
  const [name, word] = TICKS[message.state];
  const seen = message.author === "business" ? `the business sees: ${word}` : word;
  return h("span", { class: `ticks ${message.state}`, title: seen }, icon(name, seen));
}

function quote(message, acts) {
  if (!message.quoted) return null;
  const who = message.quoted.author === "person" ? "You" : acts.businessName();
  return h("button", { type: "button", class: "quoted", on: { click: () => acts.jump(message.quoted.id) } },
    h("b", {}, who), h("span", {}, message.quoted.preview));
}

function reactions(message) {
  const given = Object.entries(message.reactions);
  if (!given.length) return null;
  const said = given.map(([who, emoji]) => `${emoji} by ${who === "person" ? "you" : "the business"}`).join(", ");
  return h("span", { class: "reactions", title: said, role: "img", "aria-label": said }, given.map(([, emoji]) => emoji).join(""));
}

function tools(message, acts) {
  const mine = message.reactions.person;
  const react = (emoji) => acts.send({ type: "reaction", message_id: message.id, emoji: emoji === mine ? "" : emoji });
  const menu = h("div", { class: "emoji", hidden: true, role: "group", "aria-label": "Reactions" },
    EMOJI.map((emoji) => h("button", { type: "button", class: emoji === mine ? "mine" : "", "aria-pressed": String(emoji === mine), on: { click: () => react(emoji) } }, emoji)));
  const toggle = (event) => {
    menu.hidden = !menu.hidden;
    event.currentTarget.setAttribute("aria-expanded", String(!menu.hidden));
    if (!menu.hidden) menu.firstElementChild.focus();
  };
  const close = (event) => { if (event.key === "Escape") menu.hidden = true; };
  return h("div", { class: "tools", on: { keydown: close } },
    h("button", { type: "button", class: "round", "aria-label": "React", "aria-expanded": "false", on: { click: toggle } }, icon("smile")),
    h("button", { type: "button", class: "round", "aria-label": "Reply", on: { click: () => acts.quote(message) } }, icon("reply")),
    menu);
}

/**
 * A list item for the chat. `acts`: send(gesture), quote(message), jump(id), openList(message),
 * openPlace(id), answerTo(message) -> id of the button already tapped, businessName().
 */
export function bubble(message, acts) {
  const failed = message.state === "failed";
  const mine = message.author === "person";
  return h("li", { class: `line ${message.author}${failed ? " lost" : ""}`, data: { id: message.id, state: message.state, type: message.type } },
    h("article", { class: `bubble kind-${message.type}`, tabIndex: 0, "aria-label": `${mine ? "You" : acts.businessName()}, ${timeOf(message.at)}` },
      quote(message, acts),
      h("div", { class: "content" }, body(message)),
      failed ? h("p", { class: "why" }, `Never arrived: ${message.error?.title ?? "failed"} (${message.error?.code ?? "?"})`) : null,
      h("footer", {}, h("time", {}, timeOf(message.at)), ticks(message)),
      reactions(message)),
    failed ? null : tools(message, acts),
    h("div", { class: "choices" }, choices(message, acts)));
}
