// Drives a client in JSON lines; see docs/drivers.md. `open` makes a client from a config: an
// object with getToken() and request(method, url, options), each of which may be asynchronous.

import { createInterface } from "node:readline";

let ahead = 0;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length ? parts : [RealDate.now() + ahead]));
  }
  static now() {
    return RealDate.now() + ahead;
  }
};

/** The err that an exception comes to; a library's own error code stands in `code` or `error`. */
function errorOf(error) {
  const cause = error.cause?.message ? ` (${error.cause.message})` : "";
  const code = error.data?.payload?.error ?? error.error ?? error.oauth2Code ?? "";
  const refused = error.status ?? error.output?.statusCode ?? error.httpCode;
  const kind = error.name === "TimeoutError" ? "timeout" : code ? "oauth" : refused ? "http" : "transport";
  return { kind, code: String(code), message: `${error.name}: ${error.message}${cause}` };
}

export async function drive(name, version, open) {
  const clients = new Map();
  const operations = {
    hello: () => ({ name, version, capabilities: ["get_token", "request", "burst", "clock"] }),
    open: async ({ client, config }) => void clients.set(client, await open(config)),
    get_token: async ({ client }) => ({ access_token: (await clients.get(client).getToken()) ?? null }),
    request: async ({ client, method, url, headers, body }) => {
      const answer = await clients.get(client).request(url, { method, headers, body });
      await answer.arrayBuffer();
      return { status: answer.status };
    },
    burst: async ({ client, count }) => {
      const begun = Array.from({ length: count }, () => clients.get(client).getToken());
      return { access_tokens: await Promise.all(begun) };
    },
    advance: ({ seconds }) => void (ahead += seconds * 1000),
    close: ({ client }) => void clients.delete(client),
    bye: () => ({}),
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, op, ...asked } = JSON.parse(line);
    const answer = { id };
    if (!(op in operations)) answer.unsupported = true;
    else {
      try {
        answer.ok = (await operations[op](asked)) ?? {};
      } catch (error) {
        answer.err = errorOf(error);
      }
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
    if (op === "bye") break;
  }
  process.exit();
}
