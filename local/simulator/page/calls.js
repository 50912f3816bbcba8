// The call between the person whose phone this is and the business: what rings, and what can be done.

import { api } from "./api.js";
import { find, h, icon } from "./dom.js";

const OPEN = ["ringing", "accepted"];
const ENDS = { completed: "The call is over", rejected: "The call was declined", missed: "Nobody took the call" };

/** `chat()` gives the open chat's contact and number, `business()` its name. */
export function calling({ attempt, say, chat, business }) {
  const calls = new Map();
  const inChat = (call) => call.contact === chat().contact && call.phone_number_id === chat().number;
  const current = () => [...calls.values()].findLast((call) => inChat(call) && OPEN.includes(call.state));
  const act = (deed, more = {}) => attempt(api.call(chat().contact, { phone_number_id: chat().number, do: deed, ...more }));
  const button = (label, deed, tone) =>
    h("button", { type: "button", class: `call-deed ${tone}`, on: { click: () => act(deed) } }, label);

  function offers(call) {
    if (call.state === "accepted") return [button("Hang up", "hang_up", "no")];
    if (call.by_person) return [button("Hang up", "hang_up", "no"), button("Nobody answers", "miss", "")];
    return [button("Accept", "accept", "yes"), button("Decline", "decline", "no"), button("Let it ring out", "miss", "")];
  }

  function words(call) {
    if (call.state === "accepted") return `On the phone with ${business()}`;
    return call.by_person ? `Calling ${business()} …` : `${business()} is calling`;
  }

  function draw() {
    const call = current();
    const bar = find("call");
    bar.hidden = !call;
    find("ring").disabled = Boolean(call);
    bar.className = `call ${call?.state ?? ""}`;
    bar.replaceChildren(...(call ? [h("p", {}, icon("call"), words(call)), h("div", {}, offers(call))] : []));
  }

  find("ring").addEventListener("click", () => act("call"));
  return {
    draw,
    /** Call the business; `message` is the one whose button was tapped. */
    ring: (message) => act("call", { reply_to: message.id }),
    take(call) {
      calls.set(call.id, call);
      if (inChat(call) && ENDS[call.state]) say(ENDS[call.state]);
      draw();
    },
    fill(all) {
      calls.clear();
      for (const call of all) calls.set(call.id, call);
      draw();
    },
  };
}
