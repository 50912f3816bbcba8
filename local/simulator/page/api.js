// The simulator's own HTTP API and its event stream (control.py describes both, business.py what asks the backend).

async function call(method, path, body) {
  const answer = await fetch(`/simulator${path}`, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const document = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(document.error ?? `HTTP ${answer.status}`);
  return document;
}

const phone = (contact, what) => `/phone/${encodeURIComponent(contact)}/${what}`;

export const api = {
  state: () => call("GET", "/state"),
  act: (contact, gesture) => call("POST", phone(contact, "messages"), gesture),
  flow: (message) => call("GET", `/messages/${encodeURIComponent(message)}/flow`),
  call: (contact, deed) => call("POST", phone(contact, "calls"), deed),
  seen: (contact, number) => call("POST", phone(contact, "seen"), { phone_number_id: number }),
  closeWindow: (contact, number) => call("POST", phone(contact, "window"), { phone_number_id: number, open: false }),
  setFaults: (changes) => call("POST", "/faults", changes),
  resetFaults: () => call("DELETE", "/faults"),
  templates: () => call("GET", "/templates"),
  decide: (template, decision) => call("POST", `/templates/${encodeURIComponent(template)}`, decision),
  flush: () => call("POST", "/webhooks/flush"),
  clearLog: () => call("DELETE", "/requests"),
  campaigns: () => call("GET", "/business/campaigns"),
  actOnCampaign: (tenant, id, deed) => call("POST", `/business/campaigns/${encodeURIComponent(tenant)}/${id}/${deed}`),
  runs: (from, until) => call("GET", `/business/runs?${new URLSearchParams({ from: from.toISOString(), until: until.toISOString() })}`),
  reset: () => call("POST", "/reset"),
};

/** Follow what happens: `handlers` by event name; `lost` and `back` tell of the connection. */
export function follow(handlers, { lost, back }) {
  const stream = new EventSource("/simulator/events");
  stream.addEventListener("hello", back);
  stream.addEventListener("error", lost);
  for (const [kind, handle] of Object.entries(handlers)) {
    stream.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  }
}
