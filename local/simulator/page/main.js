// The phone: whose it is, which business it talks to, and everything that changes while it does.

import { activity } from "./activity.js";
import { addresses } from "./address.js";
import { api, follow } from "./api.js";
import { bubble } from "./bubbles.js";
import { business as businessView } from "./business.js";
import { calling } from "./calls.js";
import { dayOf, face, find, h, timeOf } from "./dom.js";
import { finger } from "./finger.js";
import { flows } from "./flows.js";
import { orders } from "./orders.js";
import { pickers } from "./pickers.js";
import { switches } from "./switches.js";
import { templates } from "./templates.js";
import { views } from "./views.js";

const NEAR_END = 120;

const people = new Map();
const numbers = new Map();
const messages = new Map();
const typing = new Map();
const unread = new Map();
let open = { contact: "", number: "" };
let quoting = null;
let followed = true;
const changed = new Set();

const keyOf = (contact, number) => `${contact}/${number}`;
const openKey = () => keyOf(open.contact, open.number);
const business = () => numbers.get(open.number)?.verified_name ?? "Business";
const inChat = (message) => message.contact === open.contact && message.phone_number_id === open.number;
const isBubble = (message) => message.type !== "reaction";

function say(text) {
  const notice = find("notice");
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { notice.hidden = true; }, 6000);
}

const attempt = (promise) => promise.catch((error) => say(error.message));

// What a bubble can ask for

const acts = {
  businessName: business,
  send: (gesture) => send(gesture),
  quote(message) {
    quoting = message;
    find("quoting-who").textContent = message.author === "person" ? "You" : business();
    find("quoting-text").textContent = message.preview;
    find("quoting").hidden = false;
    find("text").focus();
  },
  jump(id) {
    const line = lineOf(id);
    if (!line) return;
    line.scrollIntoView({ block: "center", behavior: "smooth" });
    line.querySelector(".bubble").focus({ preventScroll: true });
  },
  answerTo(message) {
    let last;
    for (const other of messages.values()) {
      if (other.quoted_id !== message.id || other.author !== "person") continue;
      const { button_reply: tapped, call_permission_reply: calls } = other.content;
      if (tapped) return tapped.id;
      if (other.type === "button") return other.content.payload;
      if (other.type === "contacts") return "contact";
      // A person may think again about calls: the last word counts.
      if (calls) last = calls.is_permanent ? "always" : calls.response;
    }
    return last;
  },
  openList: (message) => picker.chooseRow(message),
  openPlace: (replyTo) => picker.choosePlace(replyTo),
  openShop: (message) => openShop(message),
  ring: (message) => phoneCall.ring(message),
  openFlow: (message) => attempt(openFlow(message)),
  openAddress: (message) => openAddress(message),
};

function send(gesture) {
  const { contact, number } = open;
  const reply = quoting && gesture.type !== "reaction" ? { reply_to: quoting.id } : {};
  if (gesture.type !== "reaction") stopQuoting();
  return attempt(api.act(contact, { phone_number_id: number, ...reply, ...gesture }));
}

function stopQuoting() {
  quoting = null;
  find("quoting").hidden = true;
}

const picker = pickers({ send, say, messages });
const openShop = orders({ send });
const phoneCall = calling({ attempt, say, chat: () => open, business });
const openFlow = flows({ send, say });
const openAddress = addresses({ send });

// Drawing

const isPressed = finger(find("chat"), () => { redraw(); drawTyping(); });
const lineOf = (id) => find("chat").querySelector(`[data-id="${CSS.escape(id)}"]`);

function atEnd() {
  const chat = find("chat");
  return chat.scrollHeight - chat.scrollTop - chat.clientHeight < NEAR_END;
}

function toEnd() {
  const chat = find("chat");
  chat.scrollTop = chat.scrollHeight;
  followed = true;
}

function dayLine(message, before) {
  const label = dayOf(message.at);
  return !before || dayOf(before.at) !== label ? h("li", { class: "day" }, label) : null;
}

function drawChat() {
  const chat = find("chat");
  const lines = [];
  let before = null;
  for (const message of messages.values()) {
    if (!inChat(message) || !isBubble(message)) continue;
    lines.push(dayLine(message, before), bubble(message, acts));
    before = message;
  }
  const empty = h("li", { class: "empty" }, h("b", {}, `Say hello to ${business()}`), "Whatever you type goes out as one of Meta’s signed webhooks.");
  chat.replaceChildren(...(before ? lines.filter(Boolean) : [empty]));
  toEnd();
  drawTyping();
}

function drawBubble(message) {
  const chat = find("chat");
  const old = lineOf(message.id);
  if (old) {
    // The focus must survive a tick that changes under it.
    const held = old.contains(document.activeElement) && document.activeElement.classList.contains("bubble");
    const fresh = bubble(message, acts);
    old.replaceWith(fresh);
    if (held) fresh.querySelector(".bubble").focus({ preventScroll: true });
    return;
  }
  chat.querySelector(".empty")?.remove();
  const last = [...messages.values()].filter((other) => inChat(other) && isBubble(other) && other.id !== message.id).at(-1);
  chat.append(...[dayLine(message, last), bubble(message, acts)].filter(Boolean));
  chat.lastElementChild.classList.add("fresh");
  const target = message.quoted_id && messages.get(message.quoted_id);
  if (target && lineOf(target.id)) lineOf(target.id).replaceWith(bubble(target, acts));
}

function drawTyping() {
  if (isPressed()) return;
  const until = typing.get(openKey()) ?? 0;
  const left = until * 1000 - Date.now();
  const follow = atEnd();
  find("typing").hidden = left <= 0;
  if (left > 0) {
    if (follow) toEnd();
    clearTimeout(drawTyping.timer);
    drawTyping.timer = setTimeout(drawTyping, Math.min(left, 30000) + 50);
  }
}

function drawPeople() {
  const last = new Map();
  const waiting = new Map();
  for (const message of messages.values()) {
    if (isBubble(message) && message.state !== "failed") last.set(message.contact, message);
  }
  for (const [key, count] of unread) {
    const contact = key.slice(0, key.lastIndexOf("/"));
    waiting.set(contact, (waiting.get(contact) ?? 0) + count);
  }
  find("people").replaceChildren(...[...people.values()].map((person) => {
    const { letters, className } = face(person.name);
    const message = last.get(person.id);
    const count = waiting.get(person.id);
    const line = message?.preview ?? person.about ?? "";
    return h("li", {},
      h("button", { type: "button", class: "contact", "aria-current": String(person.id === open.contact), data: { person: person.id }, on: { click: () => show(person.id, open.number) } },
        h("span", { class: className, "aria-hidden": "true" }, letters),
        h("span", { class: "name" }, person.name),
        h("span", { class: "when" }, message ? timeOf(message.at) : ""),
        h("span", { class: "last" }, line),
        count ? h("span", { class: "count", "aria-label": `${count} unread` }, String(count)) : null));
  }));
}

function drawHead() {
  const { letters, className } = face(business(), "business");
  const badge = find("business-face");
  badge.textContent = letters;
  badge.className = className;
  const person = people.get(open.contact);
  const line = person?.phone ?? `@${person?.username ?? person?.user_id}, no number shared`;
  find("chat-about").textContent = person ? `${person.name} · ${line}` : "";
  find("number").value = open.number;
}

// The open chat

function show(contact, number) {
  open = { contact, number };
  stopQuoting();
  history.replaceState(null, "", `#${encodeURIComponent(contact)}/${number}`);
  unread.delete(openKey());
  drawHead();
  drawPeople();
  drawChat();
  phoneCall.draw();
  look();
  attempt(drawTemplates());
}

/** Tell the simulator that the person sees the chat: its messages become read. */
function look() {
  if (document.visibilityState !== "visible" || !open.contact) return;
  const arrived = [...messages.values()].some((message) =>
    inChat(message) && message.author === "business" && message.state === "delivered" && isBubble(message));
  unread.delete(openKey());
  if (arrived) attempt(api.seen(open.contact, open.number));
}

function take(message) {
  const known = messages.get(message.id);
  messages.set(message.id, message);
  if (!people.has(message.contact)) {
    people.set(message.contact, { id: message.contact, name: /^\d+$/.test(message.contact) ? `+${message.contact}` : message.contact, phone: `+${message.contact}` });
  }
  const arrives = message.author === "business" && message.state === "delivered" && known?.state !== "delivered";
  const key = keyOf(message.contact, message.phone_number_id);
  if (arrives && isBubble(message) && !inChat(message)) unread.set(key, (unread.get(key) ?? 0) + 1);
  if (message.author === "business" && isBubble(message) && typing.delete(key)) drawTyping();
  if (!changed.size) requestAnimationFrame(redraw);
  changed.add(message.id);
}

/** Everything that changed since the last frame, at once: load tests send hundreds. */
function redraw() {
  if (isPressed()) return;
  const follow = atEnd();
  let mine = false;
  for (const id of changed) {
    const message = messages.get(id);
    if (!message || !inChat(message) || !isBubble(message)) continue;
    // A message still on its way is not on the phone yet.
    if (message.author === "business" && message.state === "accepted") continue;
    mine ||= message.author === "person" && !lineOf(id);
    drawBubble(message);
  }
  changed.clear();
  if (follow || mine) toEnd();
  drawPeople();
  look();
}

// Starting

async function load() {
  const state = await api.state();
  for (const map of [people, numbers, messages, unread]) map.clear();
  for (const person of state.people) people.set(person.id, person);
  for (const number of state.numbers) numbers.set(number.phone_number_id, number);
  for (const message of state.messages) messages.set(message.id, message);
  find("number").replaceChildren(...state.numbers.map((number) =>
    h("option", { value: number.phone_number_id }, `${number.verified_name}  +${number.display_phone_number}`)));
  for (const message of state.messages) {
    const key = keyOf(message.contact, message.phone_number_id);
    if (message.author === "business" && message.state === "delivered" && isBubble(message)) unread.set(key, (unread.get(key) ?? 0) + 1);
  }
  activity.fill(state.calls, state.webhooks);
  phoneCall.fill(state.phone_calls);
  switches.set(state.faults);
  const [contact, number] = decodeURIComponent(location.hash.slice(1)).split("/");
  show(people.has(contact) ? contact : state.people[0].id, numbers.has(number) ? number : state.numbers[0].phone_number_id);
}

function wire(up) {
  find("wire-dot").classList.toggle("up", up);
  find("wire-text").textContent = up ? "live" : "simulator is away, trying again";
}

function listen() {
  // A picture that arrives late must not push the newest bubble out of sight.
  find("chat").addEventListener("load", () => { if (followed) toEnd(); }, true);
  find("chat").addEventListener("scroll", () => { followed = atEnd(); }, { passive: true });
  const text = find("text");
  const grow = () => { text.style.height = "auto"; text.style.height = `${text.scrollHeight}px`; };
  find("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!text.value.trim()) return;
    send({ type: "text", text: text.value });
    text.value = "";
    grow();
  });
  text.addEventListener("input", grow);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stopQuoting();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    find("composer").requestSubmit();
  });
  find("quoting-off").addEventListener("click", stopQuoting);
  find("number").addEventListener("change", (event) => show(open.contact, event.target.value));
  document.addEventListener("visibilitychange", look);
  const act = (id, deed) => find(id).addEventListener("click", () => attempt(deed()));
  act("flush", async () => { const { pending } = await api.flush(); say(pending ? `${pending} webhooks are still refused` : "Every webhook was taken"); });
  act("close-window", async () => { await api.closeWindow(open.contact, open.number); say("The window is closed: free-form messages now fail with 131047 until the person writes"); });
  act("forget", async () => { if (confirm("Forget all chats, pictures and logs?")) await api.reset(); });
  act("healthy", () => api.resetFaults());
  act("clear-log", async () => { await api.clearLog(); activity.fill([], []); });
}

/** A message that the business view knows of, in its chat. */
function openMessage({ contact, phone_number_id: number, wamid }) {
  view("phone");
  show(contact, number);
  acts.jump(wamid);
}

async function drawTemplates() {
  const { templates: all } = await api.templates();
  templates.draw(all, numbers.get(open.number)?.waba_id, (id, decision) => attempt(api.decide(id, decision)));
}

listen();
const businessPart = businessView({ say, openMessage });
const view = views((name) => { businessPart.show(name === "business"); });
switches.build((changes) => attempt(api.setFaults(changes)));
let first = true;
follow({
  message: take,
  typing: ({ contact, phone_number_id: number, until }) => { typing.set(keyOf(contact, number), until); drawTyping(); },
  call: activity.call,
  phone_call: phoneCall.take,
  webhook: activity.webhook,
  faults: switches.set,
  templates: () => attempt(drawTemplates()),
  reload: () => attempt(load()),
}, {
  lost: () => wire(false),
  // What happened while the stream was away is read whole.
  back: () => { wire(true); if (!first) attempt(load()); first = false; },
});
attempt(load());
