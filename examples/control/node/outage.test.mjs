// A client in Node.js, driven through an outage and an hour's time. It needs a running broker:
//
//     mockbroker serve
//     node --test examples/control/node/
//
// MOCKBROKER_CONTROL is the URL of the control API, by default that of `mockbroker serve`.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { TokenClient } from './token-client.mjs';

const CONTROL = process.env.MOCKBROKER_CONTROL ?? 'http://127.0.0.1:8080/__mockbroker__';

// Calls the control API, and returns the JSON of its answer; throws with its message otherwise.
async function control(method, path, body) {
  const answer = await fetch(CONTROL + path, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.message);
  return value;
}

let client, vehicle, hours;

beforeEach(async () => {
  const broker = await control('POST', '/reset');
  const { client_id, client_secret } = await control('POST', '/clients', {});
  hours = 0;
  client = new TokenClient({
    tokenUrl: broker.token_url,
    clientId: client_id,
    clientSecret: client_secret,
    now: () => Date.now() + hours * 3600_000,
  });
  vehicle = `${broker.api_url}/vehicle/1111111111111111`;
});

// Moves the client and the broker together.
async function passAnHour() {
  hours += 1;
  await control('POST', '/clock/advance', { seconds: 3600 });
}

test('one token serves many calls', async () => {
  for (let call = 0; call < 3; call += 1) assert.equal((await client.get(vehicle)).status, 200);
  await control('POST', '/journal/verify', { method: 'POST', times: 1 });
});

test('an hour later the client has a new token, and uses no expired one', async () => {
  assert.equal((await client.get(vehicle)).status, 200);
  await passAnHour();
  assert.equal((await client.get(vehicle)).status, 200);
  await control('POST', '/journal/verify', { url: '/v2/vehicle/1111111111111111', status: 401, times: 0 });
  const { tokens } = await control('GET', '/tokens');
  assert.deepEqual(tokens.map((token) => token.state), ['expired', 'valid']);
});

test('during an outage the client fails, and afterwards it works again', async () => {
  await control('POST', '/faults/token', {
    faults: [{ status: 503, retry_after: 5, times: 2 }, { reset: true }],
  });
  await assert.rejects(client.get(vehicle), /status 503/);
  await assert.rejects(client.get(vehicle), /status 503/);
  await assert.rejects(client.get(vehicle), /fetch failed/);
  assert.equal((await client.get(vehicle)).status, 200);
  assert.deepEqual(await control('GET', '/faults'), { token: [], api: [] });
});

test('a revoked token is replaced', async () => {
  const first = await client.getToken();
  await control('POST', '/tokens/revoke', { value: first });
  assert.equal((await client.get(vehicle)).status, 200);
  assert.notEqual(await client.getToken(), first);
});

test('a rotated secret is reported', async () => {
  const { clients } = await control('GET', '/clients');
  await control('PUT', `/clients/${clients.at(-1).client_id}/secret`, {});
  await assert.rejects(client.getToken(), /status 401/);
});

test('the traffic of all that breaks no clause', async () => {
  assert.equal((await client.get(vehicle)).status, 200);
  await passAnHour();
  assert.equal((await client.get(vehicle)).status, 200);
  const { verdict } = await control('POST', '/conformance/verify', {});
  assert.equal(verdict, 'no-violation-seen');
});
