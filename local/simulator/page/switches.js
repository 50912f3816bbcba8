// The fault switches (faults.py explains each one at length).

import { find, h } from "./dom.js";

const GROUPS = [
  ["Graph API", [
    ["graph_fault", "Sends", {
      none: "are answered properly",
      server_error: "fail with 500, not accepted",
      server_error_after: "fail with 500, though accepted",
      timeout_after: "are accepted, never answered",
      html_502: "meet a gateway’s HTML 502",
      throttled: "hit the number’s throughput (130429)",
      throttled_pair: "hit the pair limit (131056)",
      error: "are refused with the code below",
    }],
    ["graph_error_code", "Refusal code", "number?", "131000"],
    ["graph_fault_times", "How many sends", "number?", "all"],
    ["failed_code", "Fail later, by status", "number?", "no code"],
    ["graph_delay_ms", "Answer later by (ms)", "number"],
    ["pair_limit", "Pair limit: 1 in 6 s, burst 45", "check"],
    ["throughput_limit", "Throughput limit: 80 a second", "check"],
  ]],
  ["Webhooks", [
    ["signature", "Signature", {
      valid: "is good",
      missing: "is missing",
      wrong: "is made with another secret",
      sha1: "is the old sha1 one only",
      tampered: "fits another body",
    }],
    ["webhook_delay_ms", "Leave later by (ms)", "number"],
    ["status_gap_ms", "Between statuses (ms)", "number"],
    ["duplicate", "Extra copies of each", "number"],
    ["batch", "Most updates per POST", "number"],
    ["reorder", "Shuffled", "check"],
    ["lost_statuses", "Lose the statuses", ["sent", "delivered", "read", "failed"]],
  ]],
];

const HEALTHY = { pair_limit: true, throughput_limit: true, batch: 1, status_gap_ms: 60, graph_fault: "none", signature: "valid" };
const isHealthy = (name, value) => {
  const usual = HEALTHY[name];
  if (Array.isArray(value)) return value.length === 0;
  return usual === undefined ? value === null || value === false || value === 0 : value === usual;
};

function control(name, label, kind, hint, change) {
  const id = `fault-${name}`;
  if (Array.isArray(kind)) {
    const boxes = kind.map((word) => h("label", { class: "chip" },
      h("input", { type: "checkbox", value: word, data: { fault: name }, on: { change: () => change({ [name]: boxes.flatMap((chip) => (chip.firstChild.checked ? [chip.firstChild.value] : [])) }) } }), word));
    return h("fieldset", { class: "field" }, h("legend", {}, label), h("div", { class: "chips" }, boxes));
  }
  if (kind === "check") {
    const box = h("input", { type: "checkbox", id, role: "switch", data: { fault: name }, on: { change: () => change({ [name]: box.checked }) } });
    return h("div", { class: "field line-field" }, h("label", { htmlFor: id }, label), box);
  }
  if (typeof kind === "object") {
    const select = h("select", { id, data: { fault: name }, on: { change: () => change({ [name]: select.value }) } },
      Object.entries(kind).map(([value, text]) => h("option", { value }, text)));
    return h("div", { class: "field" }, h("label", { htmlFor: id }, label), select);
  }
  const value = () => (input.value === "" && kind === "number?" ? null : Number(input.value || 0));
  const input = h("input", { type: "number", id, min: "0", placeholder: hint ?? "", data: { fault: name }, on: { change: () => change({ [name]: value() }) } });
  return h("div", { class: "field line-field" }, h("label", { htmlFor: id }, label), input);
}

export const switches = {
  /** Draw the form; `change` gets the switches that were moved. */
  build(change) {
    find("switches").addEventListener("submit", (event) => event.preventDefault());
    find("switches").replaceChildren(...GROUPS.map(([title, items]) =>
      h("section", {}, h("h3", {}, title), items.map(([name, label, kind, hint]) => control(name, label, kind, hint, change)))));
  },
  /** Show these positions. */
  set(faults) {
    for (const input of document.querySelectorAll("[data-fault]")) {
      const value = faults[input.dataset.fault];
      if (Array.isArray(value)) input.checked = value.includes(input.value);
      else if (input.type === "checkbox") input.checked = value;
      else if (input !== document.activeElement || input.tagName === "SELECT") input.value = value ?? "";
      input.closest(".field").classList.toggle("moved", !isHealthy(input.dataset.fault, value));
    }
    const moved = document.querySelectorAll(".field.moved").length;
    const badge = find("faults-on");
    badge.hidden = moved === 0;
    badge.textContent = String(moved);
  },
};
