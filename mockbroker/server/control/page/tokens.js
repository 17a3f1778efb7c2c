// The list of tokens. Rows are kept and updated, so that a button keeps the keyboard's focus.

import {byId, duration, element} from "./elements.js";

export const SHOWN = 50;
const LOW = 0.15;

export class Tokens {
  // `act(path, said)` sends a request about a token; `now()` is the broker's time in seconds.
  // `ended()` is called when the life of a token has ended.
  constructor(act, now, ended) {
    this.list = byId("tokens");
    this.act = act;
    this.now = now;
    this.ended = ended;
    this.rows = new Map();
  }

  // Show these tokens, the newest first; `total` counts those that the broker has.
  show({tokens, total}) {
    const newest = tokens.slice(-SHOWN).reverse();
    const numbers = new Set(newest.map((token) => token.number));
    for (const [number, row] of this.rows) {
      if (!numbers.has(number)) {
        row.element.remove();
        this.rows.delete(number);
      }
    }
    newest.forEach((token, place) => this.put(token, place));
    byId("tokens-count").textContent = total || "";
    byId("tokens-empty").hidden = total > 0;
    const hidden = total - newest.length;
    byId("tokens-more").hidden = hidden <= 0;
    byId("tokens-more").textContent = `${hidden} earlier ones are not shown.`;
    this.tick();
  }

  put(token, place) {
    let row = this.rows.get(token.number);
    // After a reset another token has the number.
    if (row && row.token.issued_at !== token.issued_at) {
      row.element.remove();
      row = undefined;
    }
    row ??= this.made(token);
    row.token = token;
    row.ends = this.now() + token.seconds_left;
    this.rows.set(token.number, row);
    if (this.list.children[place] !== row.element) {
      this.list.insertBefore(row.element, this.list.children[place] ?? null);
    }
  }

  made(token) {
    const {number} = token;
    const row = {left: element("p", {className: "left"}), fill: element("span")};
    const button = (word, verb) => {
      const made = element("button", {type: "button", text: word, "aria-label": `${word} token ${number}`});
      made.addEventListener("click", () => {
        // Not `disabled`, which would lose the keyboard's focus.
        if (made.getAttribute("aria-disabled") === "false") {
          this.act(`tokens/${number}/${verb}`, `Token ${number} ${verb}d.`);
        }
      });
      return made;
    };
    row.buttons = [button("Revoke", "revoke"), button("Expire", "expire")];
    row.element = element(
      "li",
      {className: "token", "data-number": number},
      element("p", {className: "name"},
        element("b", {text: `#${number} `}),
        element("bdi", {text: token.client_id}), " ",
        element("code", {text: token.masked})),
      row.left,
      element("div", {className: "acts"}, ...row.buttons),
      element("div", {className: "bar", "aria-hidden": "true"}, row.fill),
    );
    return row;
  }

  // Show what is left of each life; called every second.
  tick() {
    const now = this.now();
    for (const row of this.rows.values()) this.age(row, now);
  }

  age(row, now) {
    const {token} = row;
    const isValid = token.state === "valid";
    const left = isValid ? Math.max(0, row.ends - now) : 0;
    const part = token.expires_in > 0 ? Math.min(1, left / token.expires_in) : 0;
    row.element.dataset.state = token.state;
    row.element.dataset.low = String(part < LOW);
    // By the CSSOM, which the Content-Security-Policy allows, unlike a style attribute.
    row.fill.style.width = `${part * 100}%`;
    const long = left >= 120 ? ` · ${duration(left).replaceAll(" ", "\u00a0")}` : "";
    const text = isValid
      ? `${Math.ceil(left)} of ${token.expires_in} s left${long}`
      : token.state;
    if (row.left.textContent !== text) {
      row.left.replaceChildren(isValid ? text : element("b", {className: "state", text}));
    }
    for (const button of row.buttons) button.setAttribute("aria-disabled", String(!isValid));
    if (isValid && left <= 0 && !row.hasEnded) this.ended();
    row.hasEnded = isValid && left <= 0;
  }
}
