// One message as a bubble of the chat.

import { cards, file, paragraph, picture, place, sound } from "./content.js";
import { h, icon, timeOf } from "./dom.js";
import { choices, interactive } from "./interactive.js";
import { asked, ordered } from "./orders.js";
import { template, templateChoices } from "./template.js";

export const EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

const TICKS = {
  accepted: ["clock", "accepted"],
  sent: ["tick", "sent"],
  delivered: ["ticks", "delivered"],
  read: ["ticks", "read"],
  failed: ["cross", "failed"],
};

function body(message, acts) {
  const { type, content } = message;
  switch (type) {
    case "text": return [message.product && asked(message.product), paragraph(content.body)];
    case "order": return ordered(content).flat();
    case "button": return paragraph(content.text);
    case "image":
    case "sticker": return picture(content);
    case "video": return [file(content, "video", "Video"), paragraph(content.caption, "caption")];
    case "document": return [file(content, "file", "Document"), paragraph(content.caption, "caption")];
    case "audio": return sound(content);
    case "contacts": return cards(content.items ?? []);
    case "location": return place(content);
    case "interactive": return interactive(message, acts);
    case "template": return template(message, acts);
    default: return [h("p", { class: "headline" }, type), h("pre", {}, JSON.stringify(content, null, 1))];
  }
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
 * openPlace(id), openShop(message), ring(message), openFlow(message), openAddress(message), answerTo(message) -> what the person answered it with (a button's id), businessName().
 */
export function bubble(message, acts) {
  const failed = message.state === "failed";
  const mine = message.author === "person";
  return h("li", { class: `line ${message.author}${failed ? " lost" : ""}`, data: { id: message.id, state: message.state, type: message.type } },
    h("article", { class: `bubble kind-${message.type}`, tabIndex: 0, "aria-label": `${mine ? "You" : acts.businessName()}, ${timeOf(message.at)}` },
      quote(message, acts),
      h("div", { class: "content" }, body(message, acts)),
      failed ? h("p", { class: "why" }, `Never arrived: ${message.error?.title ?? "failed"} (${message.error?.code ?? "?"})`) : null,
      h("footer", {}, h("time", {}, timeOf(message.at)), ticks(message)),
      reactions(message)),
    failed ? null : tools(message, acts),
    h("div", { class: "choices" }, message.type === "template" ? templateChoices(message, acts) : choices(message, acts)));
}
