// Requests to the control API, and its stream of events.

const ROOT = new URL(document.documentElement.dataset.control + "/", location.href);
const KEY = `mockbroker control token ${ROOT.pathname}`;
// The broker sends at least a comment every 3 seconds; a stream that is silent longer is dead.
const SILENCE_MS = 10000;

let token = stored();

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // storage may be switched off
  }
}

// Use a control token from now on, also after this tab is loaded again.
export function useToken(value) {
  token = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // Storage may be switched off: the page then asks again after it is loaded again.
  }
}

export class Refusal extends Error {
  constructor(status, answer) {
    super(answer.message ?? `the broker answered with status ${status}`);
    this.status = status;
    this.answer = answer;
  }
}

function options(method, extra) {
  // A header field, not a cookie: another site's page cannot make the browser send it.
  const headers = token ? {"X-Mockbroker-Token": token} : {};
  return {method, headers: {...headers, ...extra}, cache: "no-store", credentials: "omit"};
}

async function refusal(response) {
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // Not the broker's own answer: its status is all there is to say.
  }
  return new Refusal(response.status, answer);
}

// Return the answer to a control request; throw a Refusal if it fails.
export async function call(method, path, body) {
  const sent = body === undefined ? {} : {body: JSON.stringify(body)};
  const kind = body === undefined ? {} : {"Content-Type": "application/json"};
  const signal = AbortSignal.timeout(SILENCE_MS);
  const response = await fetch(new URL(path, ROOT), {...options(method, kind), ...sent, signal});
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// Yield the events after an exchange as {name, data}, until the broker ends the stream.
export async function* events(since) {
  const ending = new AbortController();
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => ending.abort(), SILENCE_MS);
  };
  alive();
  try {
    const url = new URL(`events?since=${since}`, ROOT);
    const response = await fetch(url, {...options("GET"), signal: ending.signal});
    if (!response.ok) throw await refusal(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      alive();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = eventOf(block);
        if (event) yield event;
      }
    }
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

function eventOf(block) {
  const fields = new Map(block.split("\n").map((line) => line.split(/: (.*)/s)));
  return fields.has("event") && {name: fields.get("event"), data: JSON.parse(fields.get("data"))};
}
