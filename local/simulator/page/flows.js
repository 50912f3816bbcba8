// A Flow as a form: the screens of its JSON where the simulator has it, else rows of names and values.
// Only first-level components (and those inside a Form) are drawn, and no endpoint is asked.

import { api } from "./api.js";
import { h } from "./dom.js";

const BINDING = /^\$\{(?:screen\.([\w-]+)\.)?(data|form)\.([\w-]+)\}$/;
const TYPES = { number: "number", email: "email", password: "password", passcode: "password", phone: "tel" };
const TEXTS = { TextHeading: "h3", TextSubheading: "h4", TextBody: "p", TextCaption: "small" };

/** What a Flow's expression stands for; `${form.name}` and the like, inside lists and objects, too. */
function resolve(value, { screen, data, answers }) {
  if (Array.isArray(value)) return value.map((one) => resolve(one, { screen, data, answers }));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolve(one, { screen, data, answers })]));
  }
  const found = typeof value === "string" && BINDING.exec(value);
  if (!found) return value;
  const [, other = screen, kind, name] = found;
  return (kind === "data" ? data : answers)[other]?.[name];
}

/** The example that a screen gives for its data: what is shown where nobody gave any. */
const examples = (screen) =>
  Object.fromEntries(Object.entries(screen.data ?? {}).map(([name, told]) => [name, told?.__example__]));

const components = (screen) =>
  (screen.layout?.children ?? []).flatMap((part) => (part.type === "Form" ? part.children ?? [] : [part]));

const field = (label, input) => h("label", {}, label, input);

function group(part, label, kind) {
  const choices = (part["data-source"] ?? []).map((one) =>
    h("label", { class: "option" }, h("input", { type: kind, name: part.name, value: one.id, required: kind === "radio" && part.required === true }), one.title));
  return h("fieldset", {}, h("legend", {}, label), choices);
}

/** One component as elements; what this phone does not know shows its name. */
function draw(part) {
  const label = part.label ?? part.name ?? "";
  const input = { name: part.name, required: part.required === true };
  switch (part.type) {
    case "TextHeading": case "TextSubheading": case "TextBody": case "TextCaption":
      return h(TEXTS[part.type], {}, [part.text].flat().join("\n"));
    case "TextInput":
      return field(label, h("input", { ...input, type: TYPES[part["input-type"]] ?? "text", value: part["init-value"] ?? "" }));
    case "TextArea":
      return field(label, h("textarea", { ...input, rows: 3, value: part["init-value"] ?? "" }));
    case "DatePicker":
      return field(label, h("input", { ...input, type: "date", min: part["min-date"], max: part["max-date"] }));
    case "Dropdown":
      return field(label, h("select", input, h("option", { value: "" }, "Choose"),
        (part["data-source"] ?? []).map((one) => h("option", { value: one.id }, one.title))));
    case "RadioButtonsGroup": return group(part, label, "radio");
    case "CheckboxGroup": return group(part, label, "checkbox");
    case "OptIn":
      return h("label", { class: "option" }, h("input", { ...input, type: "checkbox" }), label);
    case "Footer": return h("button", { class: "primary" }, part.label ?? "Continue");
    default: return h("small", {}, `${part.type} is not shown on this phone`);
  }
}

/** What the person has chosen, by the names of the components. */
function read(form, parts) {
  const given = {};
  for (const { type, name } of parts) {
    if (!name) continue;
    const inputs = [...form.elements].filter((one) => one.name === name);
    if (type === "CheckboxGroup") given[name] = inputs.filter((one) => one.checked).map((one) => one.value);
    else if (type === "OptIn") given[name] = inputs.some((one) => one.checked);
    else if (type === "RadioButtonsGroup") given[name] = inputs.find((one) => one.checked)?.value ?? "";
    else if (inputs.length) given[name] = inputs[0].value;
  }
  return given;
}

/** Shows the dialog with a title and a form; `submitted(form)` is called when the form is valid. */
function show(dialog, title, parts, submitted) {
  const form = h("form", { class: "flow", on: { submit: (event) => { event.preventDefault(); submitted(form); } } }, parts);
  dialog.replaceChildren(
    h("header", {}, h("h2", { id: "flow-title" }, title),
      h("button", { type: "button", class: "round", "aria-label": "Close", on: { click: () => dialog.close() } }, "✕")),
    form);
  if (!dialog.open) dialog.showModal();
}

function plain(dialog, title, finish) {
  const row = () => h("div", { class: "fields pair" },
    h("label", {}, "Name", h("input", { name: "name" })), h("label", {}, "Value", h("input", { name: "value" })));
  const rows = h("div", {}, row());
  const add = h("button", { type: "button", class: "quiet", on: { click: () => rows.append(row()) } }, "One more");
  const hint = h("small", {}, "This Flow’s JSON is not here: write what it would answer.");
  show(dialog, title, [hint, rows, add, h("button", { class: "primary" }, "Send")], (form) => {
    const names = [...form.querySelectorAll("[name=name]")].map((one) => one.value.trim());
    const values = [...form.querySelectorAll("[name=value]")].map((one) => one.value);
    finish(Object.fromEntries(names.map((name, n) => [name, values[n]]).filter(([name]) => name)));
  });
}

/** Wires the dialog; gives openFlow(message). */
export function flows({ send, say }) {
  const dialog = h("dialog", { id: "flow-dialog", "aria-labelledby": "flow-title" });
  document.body.append(dialog);

  return async function openFlow(message) {
    const { document: flow, screen: first, data: given } = await api.flow(message.id);
    const title = message.content.action?.parameters?.flow_cta ?? "Form";
    const finish = (answers) => {
      dialog.close();
      send({ type: "flow", answers, reply_to: message.id });
    };
    const screens = new Map((flow?.screens ?? []).map((one) => [one.id, one]));
    const known = { data: {}, answers: {} };

    function enter(name, data) {
      const screen = screens.get(name);
      if (!screen) return say(`The Flow has no screen ${name}`);
      known.data[name] = { ...examples(screen), ...data };
      const parts = components(screen).map((part) => resolve(keep(part), { screen: name, ...known })).filter((part) => part.visible !== false);
      const footer = components(screen).find((part) => part.type === "Footer");
      return show(dialog, screen.title ?? title, parts.map(draw), (form) => {
        known.answers[name] = read(form, parts);
        act(name, footer?.["on-click-action"] ?? {});
      });
    }

    function act(name, action) {
      const payload = resolve(action.payload ?? {}, { screen: name, ...known });
      if (action.name === "navigate") return enter(action.next?.name, payload);
      if (action.name === "complete") return finish(payload);
      return say(`This phone asks no endpoint: the Flow wants to ${action.name ?? "do nothing"} here`);
    }

    if (screens.size) return enter(screens.has(first) ? first : flow.screens[0].id, given);
    return plain(dialog, title, finish);
  };
}

/** A component without its action: that is resolved when the form is sent. */
function keep(part) {
  const { "on-click-action": _, ...rest } = part;
  return rest;
}
