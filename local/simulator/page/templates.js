// Meta's decisions about message templates (template_control.py): each one sends its webhook.

import { find, h } from "./dom.js";

const STATUSES = ["APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED", "IN_APPEAL", "DELETED"];
const QUALITIES = ["GREEN", "YELLOW", "RED", "UNKNOWN"];

function choice(label, words, value, change) {
  const select = h("select", { "aria-label": label, on: { change: () => change(select.value) } },
    words.map((word) => h("option", { value: word, selected: word === value }, word)));
  return select;
}

function row(template, decide) {
  const name = `${template.name} (${template.language})`;
  return h("li", { class: "field", data: { template: template.name } },
    h("b", {}, name), h("span", {}, ` ${template.category.toLowerCase()}`),
    choice(`Status of ${name}`, STATUSES, template.status, (status) => decide(template.id, { status })),
    choice(`Quality of ${name}`, QUALITIES, template.quality, (quality) => decide(template.id, { quality })));
}

export const templates = {
  /** Draw the templates of one account; `decide` gets an id and what to decide. */
  draw(all, account, decide) {
    const own = all.filter((template) => template.waba_id === account);
    const none = h("li", { class: "legend" }, "This account has none yet.");
    find("templates").replaceChildren(...(own.length ? own.map((template) => row(template, decide)) : [none]));
  },
};
