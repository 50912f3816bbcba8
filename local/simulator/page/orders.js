// Products: what a message sells, ordering some of it, asking about one, and what was ordered.

import { find, h, icon } from "./dom.js";

/** What a catalogue holds besides the product that its message shows (orders.py). */
const SAMPLES = ["sample-1", "sample-2", "sample-3"];

function productsOf({ type, action = {} }) {
  if (type === "product") return [action.product_retailer_id];
  if (type === "product_list") return action.sections.flatMap((section) => section.product_items.map((one) => one.product_retailer_id));
  const shown = action.parameters?.thumbnail_product_retailer_id;
  return shown ? [shown, ...SAMPLES] : SAMPLES;
}

/** Wires the dialog; gives open(message). */
export function orders({ send }) {
  const dialog = find("order-dialog");
  return (message) => {
    const rows = productsOf(message.content).map((id, index) => ({
      id,
      count: h("input", { type: "number", min: "0", max: "999", value: index === 0 ? "1" : "0", "aria-label": `How many ${id}` }),
    }));
    const note = find("order-note");
    note.value = "";
    find("order-rows").replaceChildren(...rows.map(({ id, count }) => h("label", { class: "ordered" }, icon("cart"), h("span", {}, id), count)));
    dialog.returnValue = "";
    dialog.onclose = () => {
      const wanted = rows.map(({ id, count }) => ({ product_retailer_id: id, quantity: Number(count.value) })).filter((one) => one.quantity > 0);
      const text = note.value.trim();
      const about = wanted[0]?.product_retailer_id ?? rows[0].id;
      if (dialog.returnValue === "order" && wanted.length) send({ type: "order", items: wanted, ...(text ? { text } : {}), reply_to: message.id });
      if (dialog.returnValue === "ask") send({ type: "inquiry", product_retailer_id: about, text: text || "Is this still available?", reply_to: message.id });
    };
    dialog.showModal();
  };
}

/** An order as the person sent it. */
export function ordered({ product_items: items = [], text }) {
  const total = items.reduce((sum, one) => sum + one.quantity * one.item_price, 0);
  const line = (left, right) => h("span", { class: "bill" }, h("span", {}, left), h("span", {}, right));
  return [
    items.map((one) => line(`${one.quantity} × ${one.product_retailer_id}`, `${(one.quantity * one.item_price).toFixed(2)} ${one.currency}`)),
    h("b", {}, line("Total", `${total.toFixed(2)} ${items[0]?.currency ?? ""}`)),
    text && h("p", {}, text),
  ];
}

/** The product that a question is about. */
export const asked = (product) => h("p", { class: "card" }, icon("cart"), h("span", {}, product.product_retailer_id));
