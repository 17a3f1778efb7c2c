// A small token client, which stands for your application.

export class TokenClient {
  // `now` returns milliseconds, as Date.now does. A test passes a clock that it can move.
  constructor({ tokenUrl, clientId, clientSecret, now = Date.now }) {
    this.tokenUrl = tokenUrl;
    this.proof = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
    this.now = now;
    this.token = null;
    this.refreshAt = 0;
  }

  // Returns a valid token. Throws if there is none to be had.
  async getToken() {
    if (this.token === null || this.now() >= this.refreshAt) await this.#refresh();
    return this.token;
  }

  // Calls the API; asks for a new token once if the API says that the token is invalid.
  async get(url) {
    let answer = await this.#signed(url);
    if (answer.status === 401) {
      this.token = null;
      answer = await this.#signed(url);
    }
    return answer;
  }

  async #signed(url) {
    return fetch(url, { headers: { Authorization: `Bearer ${await this.getToken()}` } });
  }

  async #refresh() {
    const asked = this.now();
    const answer = await fetch(this.tokenUrl, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${this.proof}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials',
    });
    if (!answer.ok) throw new Error(`token request failed with status ${answer.status}`);
    const { access_token, expires_in } = await answer.json();
    this.token = access_token;
    // Half a minute early, so that no call is under way when the token expires.
    this.refreshAt = asked + (expires_in - 30) * 1000;
  }
}
