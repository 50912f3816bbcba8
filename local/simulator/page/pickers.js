// What needs more than a tap: choosing from a list, a place, a picture.

import { find, h } from "./dom.js";

const MAX_PICTURE = 5 * 1024 * 1024;
const PLACES = [
  { name: "Zócalo, Mexico City", latitude: 19.4326, longitude: -99.1332 },
  { name: "South Bank, London", latitude: 51.5055, longitude: -0.1160 },
  { name: "Praça da Liberdade, Belo Horizonte", latitude: -19.9320, longitude: -43.9378 },
  { name: "Gardens by the Bay, Singapore", latitude: 1.2816, longitude: 103.8636 },
];

/** Wires the attachments' menu and dialogs; gives chooseRow(message) and choosePlace(replyTo). */
export function pickers({ send, say }) {
  const button = find("attach");
  const menu = find("attach-menu");
  const unfold = (yes) => {
    menu.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
    if (yes) menu.querySelector("button").focus();
  };

  function chooseRow(message) {
    const { action = {}, body } = message.content;
    find("list-title").textContent = action.button ?? body?.text ?? "Choose";
    const dialog = find("list-dialog");
    find("list-rows").replaceChildren(...(action.sections ?? []).map((section) =>
      h("section", {}, section.title ? h("h3", {}, section.title) : null,
        (section.rows ?? []).map((row) => h("button", { value: `row ${row.id}`, class: "row" },
          h("b", {}, row.title), row.description ? h("span", {}, row.description) : null)))));
    dialog.returnValue = "";
    dialog.onclose = () => {
      if (dialog.returnValue.startsWith("row ")) send({ type: "list", row_id: dialog.returnValue.slice(4), reply_to: message.id });
    };
    dialog.showModal();
  }

  function choosePlace(replyTo) {
    const dialog = find("place-dialog");
    dialog.returnValue = "";
    dialog.onclose = () => {
      if (dialog.returnValue !== "share") return;
      const name = find("place-name").value.trim();
      send({
        type: "location",
        latitude: Number(find("place-lat").value),
        longitude: Number(find("place-lon").value),
        ...(name ? { name } : {}),
        ...(replyTo ? { reply_to: replyTo } : {}),
      });
    };
    dialog.showModal();
  }

  function fillPlace(place) {
    find("place-name").value = place.name;
    find("place-lat").value = place.latitude;
    find("place-lon").value = place.longitude;
  }

  async function sendPicture(blob) {
    if (!/^image\/(jpeg|png|webp)$/.test(blob.type)) return say("Only JPEG, PNG or WebP pictures can be sent");
    if (blob.size > MAX_PICTURE) return say("A picture may have 5 MB at most");
    const reader = new FileReader();
    reader.onload = () => {
      const caption = find("text").value.trim();
      find("text").value = "";
      send({ type: "image", mime_type: blob.type, data: reader.result.split(",")[1], ...(caption ? { caption } : {}) });
    };
    reader.readAsDataURL(blob);
    return undefined;
  }

  find("places").replaceChildren(...PLACES.map((place) =>
    h("button", { type: "button", on: { click: () => fillPlace(place) } }, place.name)));
  fillPlace(PLACES[0]);

  button.addEventListener("click", () => unfold(menu.hidden));
  menu.addEventListener("click", (event) => {
    const what = event.target.closest("[data-attach]")?.dataset.attach;
    if (!what) return;
    unfold(false);
    if (what === "location") choosePlace(null);
    if (what === "picture") find("file").click();
    if (what === "sample") sample().then(sendPicture);
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".attach")) unfold(false); });
  menu.addEventListener("keydown", (event) => { if (event.key === "Escape") { unfold(false); button.focus(); } });
  find("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) sendPicture(file);
    event.target.value = "";
  });
  find("text").addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
    if (file) { event.preventDefault(); sendPicture(file); }
  });
  return { chooseRow, choosePlace };
}

/** A small painted evening by the sea, so that nobody needs a file to try pictures. */
function sample() {
  const canvas = h("canvas", { width: 640, height: 420 });
  const paint = canvas.getContext("2d");
  const sky = paint.createLinearGradient(0, 0, 0, 270);
  sky.addColorStop(0, "#2b3a67");
  sky.addColorStop(0.6, "#e0777d");
  sky.addColorStop(1, "#ffd29d");
  paint.fillStyle = sky;
  paint.fillRect(0, 0, 640, 270);
  paint.fillStyle = "#fff3d6";
  paint.beginPath();
  paint.arc(420, 215, 44, 0, 7);
  paint.fill();
  paint.fillStyle = "#23395b";
  paint.fillRect(0, 258, 640, 162);
  for (let wave = 0; wave < 60; wave += 1) {
    paint.fillStyle = `rgba(255, 210, 157, ${0.5 - wave / 130})`;
    const width = 120 * Math.abs(Math.sin(wave * 1.7)) + 8;
    paint.fillRect(420 - width / 2 + 22 * Math.sin(wave), 264 + wave * 2.6, width, 1.6);
  }
  paint.fillStyle = "#16243d";
  for (const [x, height] of [[0, 60], [90, 92], [200, 48], [300, 30]]) {
    paint.beginPath();
    paint.moveTo(x - 110, 262);
    paint.lineTo(x, 262 - height);
    paint.lineTo(x + 130, 262);
    paint.fill();
  }
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.86));
}
