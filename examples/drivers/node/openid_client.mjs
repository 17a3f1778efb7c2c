// openid-client: it keeps no token; the driver keeps it for as long as the answer's expiresIn(),
// which counts from when the answer came, says that it is good.

import * as client from "openid-client";
import { drive } from "./driver.mjs";

await drive("openid-client", "6.9.0", (config) => {
  const server = { issuer: new URL(config.token_url).origin, token_endpoint: config.token_url };
  const authentication = client.ClientSecretBasic(config.client_secret);
  const configured = new client.Configuration(server, config.client_id, undefined, authentication);
  configured.timeout = config.timeout;
  client.allowInsecureRequests(configured);
  let tokens;
  const getToken = async () => {
    if (!tokens || (tokens.expiresIn() ?? Infinity) <= 0) {
      const scope = config.scope ? { scope: config.scope } : {};
      const answer = await client.clientCredentialsGrant(configured, scope);
      // The library accepts DPoP tokens as well, and leaves it to its user to sign with them.
      if (answer.token_type !== "bearer") throw new Error(`token type: ${answer.token_type}`);
      tokens = answer;
    }
    return tokens.access_token;
  };
  return {
    getToken,
    request: async (url, { method, headers, body }) => {
      const asked = new Headers(headers);
      const token = await getToken();
      return client.fetchProtectedResource(configured, token, new URL(url), method, body, asked);
    },
  };
});
