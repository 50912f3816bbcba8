// What automations did on a day: which rule, for whom, when, and what was sent or why nothing was.

import { arrange, find, h, icon, secondOf } from "./dom.js";

/** Why a run did nothing, in words (docs/automations.md); others as they are. */
const WHY = {
  late: "too late: beyond the rule’s grace",
  tenant_disabled: "the business is disabled",
  inactive: "the rule was switched off",
  "not so any more": "what it was due for is not so any more",
  conditions: "its conditions did not hold",
  cool_down: "too soon after the last one for this person",
  cap_per_contact: "as often for this person as it may",
  no_contact: "nobody to write to",
  no_trip: "no trip to change",
};
const TRIGGERS = {
  trip_start: "trip starts", trip_end: "trip ends", budget_exceeded: "budget exceeded",
  booking_pending: "booking pending", schedule: "schedule", event: "event",
};

const words = (name) => name.replaceAll("_", " ");

function sent(run, openMessage) {
  const { message } = run;
  if (message?.wamid) {
    return h("button", { type: "button", class: "sent", title: "Show it on the phone", on: { click: () => openMessage(message) } },
      icon("link"), h("span", {}, message.preview), h("small", {}, message.status));
  }
  if (message) return h("p", {}, `Message ${message.status}${message.said ? `: ${message.said}` : ""}`);
  if (run.reason) return h("p", {}, WHY[run.reason] ?? run.reason);
  if (run.result?.email_id) return h("p", {}, "An e-mail was queued");
  if (run.status === "started") return h("p", {}, "It is under way");
  return h("p", {}, run.action === "update_trip" ? "The trip was changed" : words(run.action));
}

function row(run, tenant, openMessage) {
  const subject = [TRIGGERS[run.trigger] ?? words(run.trigger), run.about, run.who].filter(Boolean).join(" · ");
  return h("li", { class: "run", data: { run: run.id } },
    h("time", { dateTime: run.started_at }, secondOf(Date.parse(run.started_at) / 1000)),
    h("div", {},
      h("h3", {}, run.rule), h("p", { class: "legend" }, `${tenant.name} · ${subject}`),
      h("p", { class: "legend" }, `occurrence ${run.occurrence}`)),
    h("div", { class: "outcome" }, h("span", { class: `chip-state is-${run.status}` }, run.status), sent(run, openMessage)));
}

function total(all, more) {
  const by = new Map();
  for (const { run } of all) by.set(run.status, (by.get(run.status) ?? 0) + 1);
  const parts = [...by].map(([status, count]) => `${count} ${status}`);
  return all.length ? `${more ? "The newest " : ""}${all.length}: ${parts.join(", ")}` : "";
}

/** `openMessage(message)` shows one on the phone. */
export function runs({ openMessage }) {
  const rows = new Map();

  return {
    clear() {
      rows.clear();
      find("runs").replaceChildren();
      find("runs-total").textContent = "";
      find("runs-none").hidden = true;
    },
    draw(tenants) {
      const all = tenants.flatMap((tenant) => (tenant.runs ?? []).map((run) => ({ tenant, run })));
      all.sort((a, b) => Date.parse(b.run.started_at) - Date.parse(a.run.started_at));
      const kept = new Set(all.map(({ run }) => run.id));
      for (const id of rows.keys()) if (!kept.has(id)) rows.delete(id);
      const focused = document.activeElement.closest?.("[data-run]")?.dataset.run;
      arrange(find("runs"), all.map(({ tenant, run }) => {
        const told = JSON.stringify(run);
        // A row that says the same stays, with the focus in it.
        if (rows.get(run.id)?.told !== told) rows.set(run.id, { told, element: row(run, tenant, openMessage) });
        return rows.get(run.id).element;
      }));
      const fresh = rows.get(focused)?.element;
      if (fresh && !fresh.contains(document.activeElement)) fresh.querySelector("button")?.focus({ preventScroll: true });
      find("runs-total").textContent = total(all, tenants.some((tenant) => tenant.more));
      find("runs-none").hidden = all.length > 0 || !tenants.length || tenants.some((tenant) => tenant.error);
      find("runs-no-rules").hidden = tenants.some((tenant) => tenant.rules);
    },
  };
}
