// The log: the backend's Graph calls and the webhooks posted to it, newest first.

import { find, h, secondOf } from "./dom.js";

const SHOWN = 120;
/** What a webhook's updates are called; others by their field. */
const KINDS = { messages: "message", statuses: "status", calls: "call" };

const tone = (status) => (status === 200 ? "good" : status === null || status === undefined ? "none" : "bad");

function row(way, title, detail, status, at, more) {
  return h("li", { class: `entry ${way}` },
    h("details", {},
      h("summary", {},
        h("span", { class: `way ${way}` }, way === "out" ? "Graph" : "Webhook"),
        h("span", { class: "what" }, title, detail ? h("small", {}, detail) : null),
        h("span", { class: `status ${tone(status)}` }, status ?? "–"),
        h("time", {}, secondOf(at))),
      h("pre", {}, JSON.stringify(more, null, 2))));
}

function add(entry) {
  const log = find("log");
  log.prepend(entry);
  while (log.childElementCount > SHOWN) log.lastElementChild.remove();
}

function describeCall({ method, path, body, fault }) {
  const what = path.split("/").at(-1);
  const title = what === "messages" ? (body?.status === "read" ? "mark as read" : `send ${body?.type ?? ""}`) : `${method} ${what}`;
  const trouble = fault && fault !== "none" ? `fault: ${fault}` : "";
  return [title, [body?.to ?? body?.recipient, trouble].filter(Boolean).join(" · ")];
}

function describeWebhook(entry) {
  if (entry.handshake) return ["handshake", entry.accepted ? "challenge echoed" : "not accepted, asking again"];
  const [one] = entry.updates;
  const title = entry.count > 1 ? `${entry.count} updates` : `${KINDS[one.kind] ?? one.kind} ${one.what ?? ""}`;
  const notes = [
    entry.count > 1 ? "" : one.who,
    entry.attempt > 1 ? `attempt ${entry.attempt}` : "",
    entry.copy ? `copy ${entry.copy}` : "",
    entry.signature === "valid" ? "" : `signature ${entry.signature}`,
    entry.error ?? "",
    `${entry.ms} ms`,
  ];
  return [title, notes.filter(Boolean).join(" · ")];
}

export const activity = {
  call(entry) {
    add(row("out", ...describeCall(entry), entry.status, entry.at, { request: entry.body, response: entry.response, ms: entry.ms }));
  },
  webhook(entry) {
    add(row("in", ...describeWebhook(entry), entry.status, entry.at, entry));
  },
  fill(calls, webhooks) {
    find("log").replaceChildren();
    const all = [...calls.map((entry) => [entry, activity.call]), ...webhooks.map((entry) => [entry, activity.webhook])];
    for (const [entry, draw] of all.sort(([a], [b]) => a.at - b.at)) draw(entry);
  },
};
