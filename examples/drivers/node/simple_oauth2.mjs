// simple-oauth2: it keeps no token; its documentation shows how to keep one, and to ask whether it
// has expired, with a window in seconds.

import { ClientCredentials } from "simple-oauth2";
import { drive } from "./driver.mjs";

const WINDOW_SECONDS = 30;

await drive("simple-oauth2", "5.1.0", (config) => {
  const { origin, pathname } = new URL(config.token_url);
  const client = new ClientCredentials({
    client: { id: config.client_id, secret: config.client_secret },
    auth: { tokenHost: origin, tokenPath: pathname },
    http: { timeout: config.timeout * 1000 },
  });
  let token;
  const getToken = async () => {
    if (!token || token.expired(WINDOW_SECONDS)) {
      token = await client.getToken(config.scope ? { scope: config.scope } : {});
    }
    return token.token.access_token;
  };
  return { getToken, request: async (url, options) => fetch(url, signed(options, await getToken())) };
});

function signed(options, token) {
  return { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } };
}
