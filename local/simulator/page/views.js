// Which part of the page is shown: the phone with what stands beside it, or the business.

import { find } from "./dom.js";

const NAMES = ["phone", "activity", "faults", "business"];

/** Wires the buttons; `changed` gets the name of the view. Returns what shows one. */
export function views(changed) {
  const buttons = [...document.querySelectorAll("[data-show]")];
  const wide = find("sides");

  function view(name) {
    document.body.dataset.view = name;
    for (const button of buttons) {
      const { show } = button.dataset;
      // On a wide screen log and switches stand beside the phone.
      const pressed = wide.contains(button) ? (show === "business") === (name === "business") : show === name;
      button.setAttribute("aria-pressed", String(pressed));
    }
    const address = new URL(location.href);
    if (name === "phone") address.searchParams.delete("view");
    else address.searchParams.set("view", name);
    history.replaceState(null, "", address);
    changed(name);
  }

  for (const button of buttons) button.addEventListener("click", () => view(button.dataset.show));
  const asked = new URLSearchParams(location.search).get("view");
  view(NAMES.includes(asked) ? asked : "phone");
  return view;
}
