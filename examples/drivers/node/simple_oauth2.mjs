// simple-oauth2: it keeps no token; its documentation shows how to keep one, and to ask whether it
// has expired, with a window in seconds.

import { ClientCredentials } from "simple-oauth2";
import { drive } from "./driver.mjs";

const WINDOW_SECONDS = 30;

await drive("simple-oauth2", "5.1.0", (config) => {
  const { origin, pathname, search } = new URL(config.token_url);
  const client = new ClientCredentials({
    client: { id: config.client_id, secret: config.client_secret },
    auth: { tokenHost: origin, tokenPath: pathname + search },
    http: { timeout: config.timeout * 1000 },
  });
  let token;
  const getToken = async () => {
    if (!token || token.expired(WINDOW_SECONDS)) {
      token = bearer(await client.getToken(config.scope ? { scope: config.scope } : {}));
    }
    return token.token.access_token;
  };
  return { getToken, request: async (url, options) => fetch(url, signed(options, await getToken())) };
});

// The library leaves the token type to its user, and so does the signature.
function bearer(answer) {
  const type = answer.token.token_type;
  if (String(type).toLowerCase() !== "bearer") throw new Error(`unknown token type: ${type}`);
  return answer;
}

function signed(options, token) {
  return { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } };
}
