// @badgateway/oauth2-client: its fetch wrapper keeps the token, and renews it ahead of its expiry.
// It takes no timeout.

import { OAuth2Client, OAuth2Fetch } from "@badgateway/oauth2-client";
import { drive } from "./driver.mjs";

await drive("@badgateway/oauth2-client", "3.3.1", (config) => {
  const client = new OAuth2Client({
    tokenEndpoint: config.token_url,
    clientId: config.client_id,
    clientSecret: config.client_secret,
    authenticationMethod: "client_secret_basic",
  });
  const scope = config.scope ? { scope: config.scope.split(" ") } : {};
  const wrapper = new OAuth2Fetch({ client, getNewToken: () => client.clientCredentials(scope) });
  return {
    getToken: () => wrapper.getAccessToken(),
    request: (url, options) => wrapper.fetch(url, options),
  };
});
