// Interactive messages: what they show, and what a person can answer below them.

import { file, linked, paragraph, picture } from "./content.js";
import { h, icon } from "./dom.js";

const PERMISSION = { accept: "Calls allowed for a week", always: "Calls always allowed", reject: "Calls not allowed" };

function header(part) {
  if (!part) return null;
  switch (part.type) {
    case "text": return [h("p", { class: "headline" }, part.text ?? ""), part.sub_text && h("small", {}, part.sub_text)];
    case "image": return picture(part.image ?? {});
    case "video": return file(part.video ?? {}, "video", "Video");
    case "document": return file(part.document ?? {}, "file", "Document");
    default: return h("p", { class: "headline" }, part.type);
  }
}

const money = ({ value = 0, offset = 1 } = {}, currency = "") => `${(value / offset).toFixed(2)} ${currency}`.trim();
const line = (left, right) => h("span", { class: "bill" }, h("span", {}, left), h("span", {}, right));
const item = (id) => h("p", { class: "card" }, icon("cart"), h("span", {}, id));

/** What only some kinds show between the body and the footer. */
const EXTRAS = {
  product: ({ action }) => item(action.product_retailer_id),
  product_list: ({ action }) => action.sections.map((section) => [
    section.title && h("p", { class: "headline" }, section.title),
    section.product_items.map((one) => item(one.product_retailer_id)),
  ]),
  catalog_message: ({ action }) => item(action.parameters?.thumbnail_product_retailer_id ?? "Catalogue"),
  order_details({ action: { parameters } }) {
    const { order = {}, currency } = parameters;
    const sums = ["tax", "shipping", "discount"].filter((name) => order[name]);
    return [
      h("small", {}, `Order ${parameters.reference_id}`),
      (order.items ?? []).map((one) => line(`${one.quantity} × ${one.name}`, money(one.sale_amount ?? one.amount, currency))),
      sums.map((name) => line(order[name].description || name, `${name === "discount" ? "−" : ""}${money(order[name], currency)}`)),
      h("b", {}, line("Total", money(parameters.total_amount, currency))),
    ];
  },
  order_status({ action: { parameters } }) {
    const { order = {} } = parameters;
    return [h("small", {}, `Order ${parameters.reference_id}`), h("b", {}, String(order.status ?? "").replaceAll("_", " ")), paragraph(order.description)];
  },
};

function answer(content) {
  const reply = content.button_reply ?? content.list_reply;
  if (reply) return [paragraph(reply.title), reply.description && h("small", {}, reply.description)];
  const { call_permission_reply: calls, nfm_reply: form } = content;
  if (calls) return paragraph(PERMISSION[calls.is_permanent ? "always" : calls.response] ?? calls.response);
  return form && [paragraph(form.body || "Form sent"), h("pre", {}, form.response_json ?? "")];
}

/** One card of a carousel. */
function card(one, message, acts) {
  if (one.type === "product") return h("li", {}, item(one.action.product_retailer_id));
  const { parameters, buttons = [] } = one.action;
  const answered = acts.answerTo(message);
  return h("li", {}, header(one.header), paragraph(one.body?.text),
    parameters && linked(parameters.url, { class: "choice" }, icon("link"), parameters.display_text),
    buttons.map(({ quick_reply: reply }) => replyButton(reply, message, acts, answered)));
}

function replyButton(reply, message, acts, answered) {
  const tap = () => acts.send({ type: "button", button_id: reply.id, reply_to: message.id });
  return choice(reply.title, tap, { name: "reply", used: answered !== undefined, chosen: answered === reply.id });
}

export function choice(label, act, { name, used = false, chosen = false, title } = {}) {
  return h("button", { type: "button", disabled: used, title, class: chosen ? "choice chosen" : "choice", on: { click: act } },
    name && icon(name), label);
}

/** What WhatsApp offers there and this phone does not do. */
export const shown = (label, name) => choice(label, () => {}, { name, used: true, title: "Shown only: this phone goes no further" });

export function interactive(message, acts) {
  const { content } = message;
  const { type, action } = content;
  if (message.author === "person") return answer(content) ?? [h("p", { class: "headline" }, type)];
  return [
    header(content.header),
    paragraph(content.body?.text ?? (type === "call_permission_request" ? "May we call you?" : "")),
    EXTRAS[type]?.(content),
    type === "carousel" ? h("ul", { class: "carousel", tabIndex: 0, "aria-label": "Cards" }, action.cards.map((one) => card(one, message, acts))) : null,
    paragraph(content.footer?.text, "footer"),
  ].flat(3);
}

/** The choices of each kind, below the bubble. */
const CHOICES = {
  button: (message, acts, { buttons = [] }) =>
    buttons.map(({ reply = {} }) => replyButton(reply, message, acts, acts.answerTo(message))),
  list: (message, acts, { button }) => choice(button, () => acts.openList(message), { name: "list" }),
  location_request_message: (message, acts) => choice("Send location", () => acts.openPlace(message.id), { name: "pin" }),
  cta_url: (message, acts, { parameters = {} }) =>
    linked(parameters.url, { class: "choice" }, icon("link"), parameters.display_text),
  call_permission_request(message, acts) {
    const answered = acts.answerTo(message);
    const offer = (label, word, more) =>
      choice(label, () => acts.send({ type: "call_permission", ...more, reply_to: message.id }), { name: "call", chosen: answered === word });
    return [
      offer("Allow calls for a week", "accept", { response: "accept" }),
      offer("Always allow calls", "always", { response: "accept", is_permanent: true }),
      offer("Do not allow calls", "reject", { response: "reject" }),
    ];
  },
  request_contact_info: (message, acts) =>
    choice("Share my number", () => acts.send({ type: "contact", reply_to: message.id }), { name: "person", used: acts.answerTo(message) !== undefined }),
  voice_call: (message, acts, { parameters = {} }) => choice(parameters.display_text ?? "Call now", () => acts.ring(message), { name: "call" }),
  flow: (message, acts, { parameters = {} }) => choice(parameters.flow_cta, () => acts.openFlow(message), { name: "list" }),
  address_message: (message, acts) => choice("Provide address", () => acts.openAddress(message), { name: "pin" }),
  product: (message, acts) => choice("View", () => acts.openShop(message), { name: "cart" }),
  product_list: (message, acts) => choice("View items", () => acts.openShop(message), { name: "cart" }),
  catalog_message: (message, acts) => choice("View catalog", () => acts.openShop(message), { name: "cart" }),
  order_details: () => shown("Review and pay", "cart"),
};

export function choices(message, acts) {
  if (message.author !== "business" || message.type !== "interactive") return null;
  const { type, action = {} } = message.content;
  return CHOICES[type]?.(message, acts, action) ?? null;
}
