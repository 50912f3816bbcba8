// Campaigns with their live progress. A card is made once and filled again: whoever holds the focus keeps it.

import { arrange, dayOf, find, h, timeOf } from "./dom.js";

/** Recipients' states in the order of the bar. */
const STATES = ["read", "delivered", "sent", "unconfirmed", "queued", "pending", "undetermined", "failed", "expired", "denied", "skipped", "cancelled"];
/** The buttons, and the states in which each can be pressed. */
const DEEDS = {
  start: ["Start", ["draft", "scheduled"]],
  pause: ["Pause", ["sending"]],
  resume: ["Resume", ["paused"]],
  cancel: ["Cancel", ["draft", "scheduled", "sending", "paused"]],
};
const SHOWN_REASONS = 5;

const when = (iso) => { const at = Date.parse(iso) / 1000; return `${dayOf(at)}, ${timeOf(at)}`; };

function lasting(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}

const counted = (status) => Object.entries(status).sort(([a], [b]) => STATES.indexOf(a) - STATES.indexOf(b));

function bar({ total, by_status: by }) {
  if (!total) return null;
  const words = counted(by).map(([state, count]) => `${count} ${state}`).join(", ");
  return h("div", { class: "bar", role: "img", "aria-label": `${total} people: ${words}` }, counted(by).map(([state, count]) => {
    const part = h("span", { class: `state-${state}`, title: `${state}: ${count}` });
    part.style.flexGrow = count;
    return part;
  }));
}

const legend = ({ by_status: by }) => h("ul", { class: "counts" }, counted(by).map(([state, count]) =>
  h("li", { data: { state } }, h("i", { class: `state-${state}`, "aria-hidden": "true" }), state, h("b", {}, String(count)))));

const money = (amount, currency) => `${Number(amount).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 4 })} ${currency}`;

/** A cost in words; what nobody knows a price of is never taken for nothing. */
function priced(cost, word) {
  if (!cost?.messages) return "";
  const known = cost.by_currency.map(({ currency, amount, unknown }) => money(amount, currency) + (unknown ? ` (${unknown} unknown)` : ""));
  return `${word} ${known.join(", ") || (cost.unknown ? "unknown" : "nothing")}`;
}

function costs({ campaign, cost }) {
  const { estimated_cost: estimated, spending_cap: cap, currency } = campaign;
  return [
    estimated ? `estimated ${money(estimated, currency)} in all` : "",
    priced(cost?.actual, cost?.complete === false ? "cost, as far as it is counted" : "cost so far"),
    priced(cost?.expected, "to come"),
    cap ? `pauses at ${money(cap, currency)}` : "",
  ];
}

function line(shown) {
  const { progress } = shown;
  const { rate_per_minute: rate, seconds_left: left, opted_out: out } = progress;
  const words = [
    progress.total ? `${progress.total} people` : "",
    rate !== null ? `${rate} a minute` : "",
    left !== null ? `about ${lasting(left)} left` : "",
    out ? `${out} opted out` : "",
    ...costs(shown),
  ];
  return h("p", { class: "facts" }, words.filter(Boolean).join(" · "));
}

function times(campaign) {
  const told = [["completed", "completed_at"], ["cancelled", "cancelled_at"], ["started", "started_at"], ["begins", "scheduled_at"], ["made", "created_at"]];
  const [word, name] = told.find(([, column]) => campaign[column]);
  return `${word} ${when(campaign[name])}`;
}

/** Why it does not go on, and what can be done about it. */
function paused({ campaign, what_to_do: advice }) {
  if (!campaign.pause_reason) return null;
  return h("div", { class: "why" }, h("b", {}, campaign.pause_reason.replaceAll("_", " ")), campaign.pause_detail && ` ${campaign.pause_detail}`, h("p", {}, advice));
}

function reasons({ reasons: all }) {
  if (!all.length) return null;
  const more = all.length > SHOWN_REASONS ? [h("li", {}, `and ${all.length - SHOWN_REASONS} more reasons`)] : [];
  return h("ul", { class: "reasons" }, all.slice(0, SHOWN_REASONS).map(({ status, reason, recipients }) =>
    h("li", {}, `${recipients} ${status}: ${reason ?? "no reason known"}`)), more);
}

/** `act(tenant, id, deed)` does what a button says. */
export function campaigns({ act }) {
  const cards = new Map();

  function make(tenant, { id }) {
    const status = h("span", { class: "chip-state" });
    const about = h("p", { class: "legend" });
    const body = h("div");
    const buttons = Object.entries(DEEDS).map(([deed, [label]]) => h("button", {
      type: "button", class: "quiet", data: { deed },
      on: { click: () => {
        // Not disabled meanwhile: that takes the focus away, and each may be asked for twice.
        if (deed !== "cancel" || confirm(`Cancel “${title.textContent}” for good? What waits is not sent any more.`)) act(tenant.tenant, id, deed);
      } },
    }, label));
    const title = h("h3");
    const element = h("li", { class: "campaign", data: { campaign: id } },
      h("header", {}, title, status, h("span", { class: "deeds-line" }, buttons)), about, body);
    return { element, fill(shown) {
      const { campaign, progress } = shown;
      title.textContent = campaign.name;
      status.textContent = campaign.status;
      status.className = `chip-state is-${campaign.status}`;
      about.textContent = `${tenant.name} · template ${campaign.template} · ${times(campaign)}`;
      const held = buttons.find((button) => button === document.activeElement);
      for (const button of buttons) {
        const [label, states] = DEEDS[button.dataset.deed];
        button.hidden = !states.includes(campaign.status);
        // A draft may have another name by now.
        button.ariaLabel = `${label} ${campaign.name}`;
      }
      // By keyboard one goes on where one was.
      if (held?.hidden) buttons.find((button) => !button.hidden)?.focus();
      body.replaceChildren(...[bar(progress), legend(progress), line(shown), paused(shown), reasons(progress)].filter(Boolean));
    } };
  }

  return {
    draw(tenants) {
      const all = tenants.flatMap((tenant) => (tenant.campaigns ?? []).map((shown) => ({ tenant, shown })));
      all.sort((a, b) => (a.shown.campaign.created_at < b.shown.campaign.created_at ? 1 : -1));
      const kept = new Set(all.map(({ shown }) => shown.campaign.id));
      for (const id of cards.keys()) if (!kept.has(id)) cards.delete(id);
      arrange(find("campaigns"), all.map(({ tenant, shown }) => {
        const { id } = shown.campaign;
        if (!cards.has(id)) cards.set(id, make(tenant, shown.campaign));
        cards.get(id).fill(shown);
        return cards.get(id).element;
      }));
      // Where an answer is missing nobody can say that there is none.
      find("campaigns-none").hidden = all.length > 0 || !tenants.length || tenants.some((tenant) => tenant.error);
    },
  };
}
