// The live page of a broker: it reads the control API, and follows its events.

import {Refusal, call, events, useToken} from "./control.js";
import {byId, count, duration, element, timeOfDay, visible} from "./elements.js";
import {Exchanges, SHOWN as EXCHANGES} from "./exchanges.js";
import {Setup} from "./setup.js";
import {SHOWN as TOKENS, Tokens} from "./tokens.js";

const RETRY_MS = 1000;
const CLOCK_MS = 5000;
const SAID_MS = 6000;
const UNAVAILABLE = {faults: [{status: 503, retry_after: 5}]};
const ACTS = {
  minute: ["clock/advance", {seconds: 60}, "The broker’s time moved by 1 minute."],
  hour: ["clock/advance", {seconds: 3600}, "The broker’s time moved by 1 hour."],
  "token-503": ["faults/token", UNAVAILABLE, "The next token answer is 503."],
  "api-503": ["faults/api", UNAVAILABLE, "The next API answer is 503."],
  "revoke-all": ["tokens/revoke", {all: true}, "All tokens revoked."],
  "expire-all": ["tokens/expire", {all: true}, "All tokens expired."],
  reset: ["reset", {}, "Broker reset: no tokens, exchanges and faults, the first settings."],
};

// How far the broker's clock is ahead of this browser's, in seconds.
let ahead = 0;
const now = () => Date.now() / 1000 + ahead;

const exchanges = new Exchanges();
const tokens = new Tokens((path, said) => act("POST", path, {}, said), now, () => refresh(showTokens));
const setup = new Setup(say, failed);

// Messages

let saying = 0;

function say(text) {
  byId("said").textContent = visible(text);
  clearTimeout(saying);
  saying = setTimeout(() => byId("said").replaceChildren(), SAID_MS);
}

function failed(error) {
  say(error instanceof Refusal ? error.message : "The broker does not answer.");
}

function link(state, text, alarm = "") {
  byId("link").dataset.state = state;
  byId("link-text").textContent = text;
  byId("alarm").hidden = !alarm;
  byId("alarm").textContent = alarm;
}

// Parts of the page

function showClock({now: moment}) {
  ahead = moment - Date.now() / 1000;
  tick();
}

function tick() {
  byId("now").textContent = timeOfDay(now());
  byId("ahead").textContent = ahead > 1 ? `${duration(Math.round(ahead))} ahead of this browser` : "";
  tokens.tick();
}

async function showTokens() {
  tokens.show(await call("GET", `tokens?limit=${TOKENS}`));
}

async function showFaults() {
  const waiting = await call("GET", "faults");
  const lines = [
    ...waiting.token.map((fault) => `token endpoint: ${fault.description}`),
    ...waiting.api.map((fault) => `API: ${fault.description}`),
  ];
  byId("faults").replaceChildren(...lines.map((text) => element("li", {text})));
}

async function showFacts() {
  const {profile, strict, version} = await call("GET", "");
  byId("facts").textContent = visible(`profile ${profile} · ${strict ? "strict" : "lenient"} · ${version}`);
}

async function showClients() {
  await setup.offer(await call("GET", "clients"));
}

async function showJournal() {
  const journal = await call("GET", `journal?limit=${EXCHANGES}`);
  exchanges.show(journal);
  return journal.total;
}

// Run each of these loads once, soon; a burst of events needs one load only.
const wanted = new Set();

function refresh(...loads) {
  if (!wanted.size) {
    setTimeout(() => {
      const due = [...wanted];
      wanted.clear();
      for (const load of due) load().catch(() => {}); // the stream of events says that it is lost
    }, 50);
  }
  for (const load of loads) wanted.add(load);
}

// Actions

async function act(method, path, body, said) {
  try {
    await call(method, path, body);
    say(said);
    refresh(showTokens, showFaults);
    showClock(await call("GET", "clock"));
  } catch (error) {
    failed(error);
  }
}

document.addEventListener("click", ({target}) => {
  const name = target.closest("[data-act]")?.dataset.act;
  if (name in ACTS) act("POST", ...ACTS[name]);
  else if (name === "clear-faults") act("DELETE", "faults", undefined, "No faults wait.");
  else if (name === "clear-journal") act("DELETE", "journal", undefined, "The exchanges are cleared.");
});

byId("find-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [method, url, status] = ["method", "url", "status"].map((name) => byId(`find-${name}`).value.trim());
  const wantedExchange = {
    ...(method && {method: method.toUpperCase()}), ...(url && {url}), ...(status && {status: Number(status)}),
  };
  try {
    const {numbers} = await call("POST", "journal/verify", wantedExchange);
    const shown = numbers.slice(-20).map((number) => `#${number}`).join(", ");
    found(element("p", {text: `Yes, ${count(numbers.length, "exchange")}: ${shown}`}));
  } catch (error) {
    if (error.status === 409) found(...closest(error.answer));
    else failed(error);
  }
});

function found(...elements) {
  byId("found").replaceChildren(...elements);
}

function closest({closest: near}) {
  const items = near.map(({number, request, differences}) =>
    element("li", {}, element("span", {text: `#${number} ${request}`}),
      element("ul", {}, ...differences.map((text) => element("li", {text})))));
  const first = near.length ? "No. The closest requests differ:" : "No: no request has come.";
  return [element("p", {text: first}), element("ul", {}, ...items)];
}

// The control token

function askForToken(why) {
  byId("ask").hidden = false;
  byId("main").hidden = true;
  byId("ask-why").textContent = visible(why);
  byId("token").focus();
  link("waiting", "Control token needed");
  return new Promise((resolve) => {
    byId("ask").onsubmit = (event) => {
      event.preventDefault();
      const given = byId("token").value.trim();
      if (!/^[!-~]+$/.test(given)) {
        byId("ask-why").textContent = "A control token has ASCII characters only, without blanks.";
        return;
      }
      byId("token").value = "";
      useToken(given);
      byId("ask").hidden = true;
      resolve();
    };
  });
}

// Events

const ON_EVENT = {
  exchange: (exchange) => exchanges.add(exchange),
  "token-issued": () => refresh(showTokens),
  "tokens-ended": () => refresh(showTokens),
  "clock-moved": (clock) => {
    showClock(clock);
    refresh(showTokens);
  },
  "faults-changed": () => refresh(showFaults),
  "settings-changed": () => refresh(showFacts, showClients),
  "clients-changed": () => refresh(showClients),
  "journal-cleared": () => {
    exchanges.clear();
    refresh(showTokens, showFaults, showFacts);
  },
};

async function load() {
  showClock(await call("GET", "clock"));
  const total = await showJournal();
  await Promise.all([showTokens(), showFaults(), showFacts(), showClients()]);
  byId("main").hidden = false;
  return total;
}

async function follow() {
  const total = await load();
  for await (const {name, data} of events(total)) {
    if (name === "hello") {
      link("open", "Live");
      // The journal was cleared since it was read, or something else has changed.
      if (data.total < total) await showJournal();
      refresh(showTokens, showFaults);
    }
    ON_EVENT[name]?.(data);
    if (name === "end") return;
  }
}

async function run() {
  for (;;) {
    try {
      await follow();
      link("lost", "Stopped", "The broker has stopped. This page connects again as soon as it is back.");
    } catch (error) {
      if (error.status === 401) {
        await askForToken(error.message);
        continue;
      }
      const why = error instanceof Refusal ? error.message : "The broker does not answer";
      link("lost", "Connection lost", visible(`${why}. Trying again…`));
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

setInterval(tick, 1000);
// The broker's clock may stand still, or be moved by a test without an event.
setInterval(() => {
  if (byId("link").dataset.state === "open") call("GET", "clock").then(showClock, () => {});
}, CLOCK_MS);
run();
