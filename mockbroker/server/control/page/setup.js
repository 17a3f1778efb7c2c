// The settings to copy. The secret is fetched only when the user asks for it.

import {call} from "./control.js";
import {byId} from "./elements.js";

export class Setup {
  // `say(text)` shows a message; `failed(error)` shows an error.
  constructor(say, failed) {
    this.say = say;
    this.failed = failed;
    byId("setup").open = matchMedia("(min-width: 60rem)").matches;
    for (const each of [byId("setup-client"), byId("setup-secret"), ...document.getElementsByName("form")]) {
      each.addEventListener("change", () => this.show().catch(failed));
    }
    byId("setup-copy").addEventListener("click", () => this.copy().catch(failed));
  }

  // Offer these clients, and show the settings of the chosen one.
  async offer({clients}) {
    const choice = byId("setup-client");
    const chosen = choice.value;
    choice.replaceChildren(...clients.map(({client_id: id}) => new Option(id, id)));
    if (clients.some(({client_id: id}) => id === chosen)) choice.value = chosen;
    byId("setup-client-line").hidden = clients.length < 2;
    await this.show();
  }

  async text(withSecret) {
    const form = document.querySelector("input[name=form]:checked").value;
    const wanted = {client_id: byId("setup-client").value, with_secret: withSecret};
    return (await call("POST", "setup", wanted))[form];
  }

  async show() {
    byId("setup-text").textContent = await this.text(byId("setup-secret").checked);
  }

  async copy() {
    const text = await this.text(true);
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      this.say("Copied, with the client secret.");
      return;
    }
    // Browsers have a clipboard on https and on localhost only.
    byId("setup-secret").checked = true;
    await this.show();
    getSelection().selectAllChildren(byId("setup-text"));
    this.say("Selected: copy it with the keyboard. This address has no clipboard.");
  }
}
