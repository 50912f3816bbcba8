// A request for an address as a form: filled in as the business gave it, with the addresses it has saved.

import { h } from "./dom.js";

/** Meta's names of the fields (India), as people read them; addresses.py has the same names. */
const FIELDS = {
  name: "Name", phone_number: "Phone number", in_pin_code: "Pin code", house_number: "Flat or house number",
  floor_number: "Floor number", tower_number: "Tower number", building_name: "Building", address: "Address",
  landmark_area: "Landmark or area", city: "City", state: "State",
};
const SHAPES = { phone_number: { type: "tel" }, in_pin_code: { maxLength: 6, inputMode: "numeric" } };

/** Wires the dialog; gives openAddress(message). */
export function addresses({ send }) {
  const dialog = h("dialog", { id: "address-dialog", "aria-labelledby": "address-title" });
  document.body.append(dialog);

  return function openAddress(message) {
    const { values = {}, saved_addresses: saved = [], validation_errors: wrong = {} } = message.content.action?.parameters ?? {};
    const inputs = new Map(Object.keys(FIELDS).map((name) => [name, h("input", { name, ...SHAPES[name], value: values[name] ?? "" })]));
    const choose = h("select", { name: "saved", on: { change: () => {
      const chosen = saved.find((one) => one.id === choose.value);
      for (const [name, input] of inputs) input.value = (chosen?.value ?? values)[name] ?? "";
    } } }, h("option", { value: "" }, "A new address"), saved.map((one) => h("option", { value: one.id }, one.id)));
    const form = h("form", { class: "flow", on: { submit: (event) => {
      event.preventDefault();
      dialog.close();
      const answers = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value));
      send({ type: "flow", answers, ...(choose.value ? { saved_address_id: choose.value } : {}), reply_to: message.id });
    } } },
    saved.length ? h("label", {}, "Saved addresses", choose) : null,
    [...inputs].map(([name, input]) => [h("label", {}, FIELDS[name], input), wrong[name] && h("small", {}, wrong[name])]).flat(),
    h("button", { class: "primary" }, "Send"));
    dialog.replaceChildren(
      h("header", {}, h("h2", { id: "address-title" }, "Your address"),
        h("button", { type: "button", class: "round", "aria-label": "Close", on: { click: () => dialog.close() } }, "✕")),
      form);
    dialog.showModal();
  };
}
