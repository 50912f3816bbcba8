// A template message as the person sees it: message.shown is template_view.py's, absent where nobody knows the template.

import { file, linked, paragraph, picture, place } from "./content.js";
import { h, icon } from "./dom.js";
import { choice, shown } from "./interactive.js";

function header(part) {
  if (!part) return null;
  const content = part[part.type] ?? {};
  switch (part.type) {
    case "text": return h("p", { class: "headline" }, part.text);
    case "image": return picture(content);
    case "video":
    case "gif": return file(content, "video", "Video");
    case "document": return file(content, "file", "Document");
    case "location": return place(content);
    case "product": return h("p", { class: "card" }, icon("cart"), h("span", {}, content.product_retailer_id));
    default: return h("p", { class: "headline" }, part.type);
  }
}

function offer(part) {
  if (!part) return null;
  const ends = part.ends ? `Ends ${new Date(part.ends).toLocaleString()}` : null;
  return h("p", { class: "card" }, h("span", {}, h("b", {}, part.text ?? "Offer"), ends && h("small", {}, ends)));
}

/** Names of icons of buttons that this phone shows and does not follow. */
const SHOWN = { phone_number: "call", voice_call: "call", flow: "list", catalog: "cart", mpm: "cart", spm: "cart", order_details: "cart" };

function button(one, message, acts) {
  switch (one.type) {
    case "quick_reply": {
      const answered = acts.answerTo(message);
      const tap = () => acts.send({ type: "button", button_id: one.payload, reply_to: message.id });
      return choice(one.text, tap, { name: "reply", used: answered !== undefined, chosen: answered === one.payload });
    }
    case "url": return linked(one.url, { class: "choice" }, icon("link"), one.text) ?? shown(one.text, "link");
    case "copy_code":
    case "otp": return choice(one.code ? `${one.text}: ${one.code}` : one.text, () => navigator.clipboard?.writeText(one.code ?? ""), { title: "Copies the code" });
    case "flow": return choice(one.text, () => acts.openFlow(message), { name: "list" });
    default: return shown(one.text, SHOWN[one.type] ?? "link");
  }
}

const buttons = (part, message, acts) => (part.buttons ?? []).map((one) => button(one, message, acts));

function cards(all, message, acts) {
  if (!all?.length) return null;
  return h("ul", { class: "carousel", tabIndex: 0, "aria-label": "Cards" },
    all.map((card) => h("li", {}, header(card.header), paragraph(card.body), buttons(card, message, acts))));
}

/** Of a template nobody knows here: its name and the values it was given. */
function unknown(content) {
  const values = (content.components ?? []).flatMap((part) => part.parameters ?? []);
  return [
    h("p", { class: "headline" }, `Template ${content.name ?? ""}`),
    paragraph(values.map((value) => value.text ?? value.payload ?? value.type).join(" · ")),
    h("p", { class: "footer" }, content.language?.code ?? ""),
  ];
}

export function template(message, acts) {
  const look = message.shown;
  if (!look) return unknown(message.content);
  return [
    header(look.header), offer(look.offer), paragraph(look.body), paragraph(look.footer, "footer"), cards(look.cards, message, acts),
  ].flat(3);
}

/** The buttons below the bubble; those of cards are inside it. */
export const templateChoices = (message, acts) => (message.shown ? buttons(message.shown, message, acts) : null);
