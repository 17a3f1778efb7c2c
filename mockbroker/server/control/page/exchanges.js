// The list of exchanges, the newest first, with hints and near misses.

import {byId, count, element, timeOfDay} from "./elements.js";

export const SHOWN = 200;
// The list is drawn at most this often, however fast exchanges come.
const DRAW_MS = 100;
const SAY_MS = 2000;

export class Exchanges {
  constructor() {
    this.list = byId("exchanges");
    this.waiting = [];
    this.seen = 0;
    this.unsaid = 0;
    this.last = null;
    this.drawing = 0;
    this.saying = 0;
    byId("problems").addEventListener("change", (event) => {
      this.list.classList.toggle("problems", event.target.checked);
    });
  }

  // Forget what is shown; show these exchanges of `total` instead.
  show({exchanges, total}) {
    this.waiting = [];
    this.seen = total;
    this.list.replaceChildren(...exchanges.slice(-SHOWN).reverse().map(row));
    this.state();
  }

  clear() {
    this.show({exchanges: [], total: 0});
  }

  // Add an exchange; it is drawn with those that come within the same tenth of a second.
  add(exchange) {
    this.waiting.push(exchange);
    if (this.waiting.length > SHOWN) this.waiting.shift();
    this.seen = exchange.number;
    this.unsaid += 1;
    this.last = exchange;
    this.drawing ||= setTimeout(() => this.draw(), DRAW_MS);
    this.saying ||= setTimeout(() => this.say(), SAY_MS);
  }

  draw() {
    this.drawing = 0;
    this.list.prepend(...this.waiting.reverse().map(row));
    this.waiting = [];
    while (this.list.children.length > SHOWN) this.list.lastElementChild.remove();
    this.state();
  }

  // Say how many exchanges came. A live list would read each of them aloud, whole.
  say() {
    this.saying = 0;
    if (this.unsaid && this.last) {
      byId("heard").textContent = `${count(this.unsaid, "new exchange")}, the latest: ${spoken(this.last)}`;
    }
    this.unsaid = 0;
  }

  state() {
    const shown = this.list.children.length;
    byId("exchanges-count").textContent = this.seen || "";
    byId("exchanges-empty").hidden = shown > 0;
    byId("exchanges-more").hidden = this.seen <= shown;
    byId("exchanges-more").textContent = `${count(this.seen - shown, "earlier exchange")} not shown.`;
  }
}

function spoken(exchange) {
  const hints = hintsOf(exchange);
  const status = exchange.response?.status ?? "no answer";
  return `${exchange.request.method} ${shortTarget(exchange)}, ${status}. ${hints[0] ?? ""}`;
}

function shortTarget({request}) {
  return request.target.length > 200 ? `${request.target.slice(0, 200)}…` : request.target;
}

function hintsOf(exchange) {
  const hints = exchange.breaches.flatMap((breach) => breach.hints);
  return [...new Set(exchange.hint ? [...hints, exchange.hint] : hints)];
}

function row(exchange) {
  const status = exchange.response?.status;
  const isBad = status === undefined || status >= 400;
  const kinds = ["exchange"];
  if (isBad || exchange.breaches.length || exchange.endpoint === "elsewhere") kinds.push("problem");
  else if (exchange.fault) kinds.push("scripted");
  const details = element(
    "details",
    {},
    element(
      "summary",
      {},
      element("time", {text: timeOfDay(exchange.received_at), title: exchange.received_at ?? ""}),
      element("span", {className: "what"},
        element("b", {text: exchange.request.method}), " ", element("span", {text: shortTarget(exchange)})),
      element("span", {className: isBad ? "status bad" : "status", text: status ?? "no answer"}),
      element("span", {className: "facts", text: facts(exchange)}),
    ),
  );
  // Made when it is opened: two hundred exchanges may have bodies of 16 KiB each.
  details.addEventListener("toggle", () => {
    if (details.children.length === 1) details.append(...messages(exchange));
  });
  return element("li", {className: kinds.join(" "), "data-number": exchange.number}, details, remarks(exchange));
}

function facts(exchange) {
  const {client_id: client, token, token_state: state, fault} = exchange;
  return [
    `#${exchange.number}`,
    client,
    token && `token #${token.number}`,
    state && state !== "valid" && `${state} token`,
    fault && `scripted: ${fault}`,
    exchange.endpoint === "elsewhere" && "neither the token endpoint nor the API",
  ].filter(Boolean).join(" · ");
}

function remarks(exchange) {
  const hints = hintsOf(exchange);
  const items = [
    ...hints.map((hint) => element("li", {className: "hint"}, element("b", {text: "Hint: "}), element("span", {text: hint}))),
    ...exchange.breaches.map((breach) =>
      element("li", {},
        element("b", {text: `${breach.level} ${breach.clause} `}),
        element("span", {text: breach.what}),
        element("span", {className: "expected", text: `expected: ${breach.expected}`}))),
  ];
  // Without a breach the answer itself says what is wrong, such as the closest route of the API.
  const message = exchange.breaches.length ? "" : messageOf(exchange.response);
  if (message) items.unshift(element("li", {text: message}));
  return items.length ? element("ul", {className: "plain remarks"}, ...items) : null;
}

function messageOf(response) {
  if (!response || response.status < 400) return "";
  try {
    const answer = JSON.parse(response.body);
    return String(answer?.error_description ?? answer?.message ?? "");
  } catch {
    return "";
  }
}

function messages({request, response}) {
  return [
    message("Request", `${request.method} ${request.target}`, request),
    response && message("Response", `status ${response.status}`, response),
  ].filter(Boolean);
}

function message(title, first, {headers, body, body_bytes: bytes}) {
  const cut = bytes === undefined ? "" : `\n… ${bytes} bytes in all`;
  const lines = [first, ...headers.map(([name, value]) => `${name}: ${value}`), "", body + cut];
  return element("div", {className: "message"},
    element("h3", {text: title}), element("pre", {text: lines.join("\n").trimEnd(), tabindex: "0", "aria-label": title}));
}
