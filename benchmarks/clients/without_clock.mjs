// The client of badgateway_oauth2_client.mjs, by a driver that does not say that it has a clock.

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text) => write(String(text).replace(', "clock"', "").replace(',"clock"', ""));
await import("../../examples/drivers/node/badgateway_oauth2_client.mjs");
