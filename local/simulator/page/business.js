// The second view: the demo's campaigns and what its automations did, asked again while it is looked at.

import { api } from "./api.js";
import { campaigns } from "./campaigns.js";
import { find, h } from "./dom.js";
import { finger } from "./finger.js";
import { runs } from "./runs.js";

/** Between an answer and the next question. */
const PAUSE_MS = 1500;
/** How long after its end a day's runs may still come to theirs. */
const ENDING_MS = 60_000;
const UNKNOWN = "No API of a backend is known here: the simulator runs alone. make run starts both.";

/** The day that a date field names, from its midnight to the next one, as this browser's clock has it. */
function dayOf(field) {
  const [year, month, day] = field.value.split("-").map(Number);
  return [new Date(year, month - 1, day), new Date(year, month - 1, day + 1)];
}

function today() {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

/** What cannot be told of some tenants, or of all. */
function drawTroubles(id, answer) {
  const troubles = answer.api ? answer.tenants.filter((one) => one.error).map((one) => `${one.name}: ${one.error}`) : [UNKNOWN];
  // The same words again would be read out again.
  if (find(id).textContent !== troubles.join("")) find(id).replaceChildren(...troubles.map((one) => h("p", {}, one)));
}

/** `openMessage({contact, phone_number_id, wamid})` shows a message on the phone. */
export function business({ say, openMessage }) {
  const field = find("runs-day");
  const latest = {};
  let shown = false;
  let timer;
  let round = 0;
  /** When the runs that are shown were asked for. */
  let ranAt = 0;

  const isPressed = finger(find("business"), () => draw());
  const card = campaigns({ act });
  const list = runs({ openMessage });

  function draw() {
    if (isPressed()) return;
    if (latest.campaigns) {
      drawTroubles("campaigns-troubles", latest.campaigns);
      card.draw(latest.campaigns.tenants);
    }
    if (latest.runs) {
      drawTroubles("runs-troubles", latest.runs);
      list.draw(latest.runs.tenants);
    }
  }

  /** A deed's answer is newer than whatever was asked before it: that is thrown away. */
  async function act(tenant, id, deed) {
    try {
      await api.actOnCampaign(tenant, id, deed);
    } catch (error) {
      say(error.message);
    }
    ask();
  }

  /** What `part` answers now; what failed leaves the last answer, told as being so. */
  async function take(part, asked, mine) {
    const at = Date.now();
    try {
      const answer = await asked;
      if (mine === round) latest[part] = answer;
      if (mine === round && part === "runs") ranAt = at;
    } catch (error) {
      if (mine === round) find(`${part}-troubles`).textContent = `Not up to date: ${error.message}`;
      return;
    }
    if (mine === round) draw();
  }

  async function ask() {
    clearTimeout(timer);
    round += 1;
    const mine = round;
    if (!shown || document.visibilityState !== "visible") return;
    const [from, until] = dayOf(field);
    // A day that is over stays as it was.
    const changes = until.getTime() + ENDING_MS > ranAt || !latest.runs;
    await Promise.all([
      take("campaigns", api.campaigns(), mine),
      field.value && changes ? take("runs", api.runs(from, until), mine) : null,
    ]);
    if (mine === round) timer = setTimeout(ask, PAUSE_MS);
  }

  field.value = today();
  field.addEventListener("change", () => { latest.runs = undefined; list.clear(); ask(); });
  document.addEventListener("visibilitychange", ask);
  return {
    /** Whether it is looked at. */
    show(yes) {
      if (shown === yes) return;
      shown = yes;
      ask();
    },
  };
}
