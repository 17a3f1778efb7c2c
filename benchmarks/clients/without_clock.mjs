// A client of examples/drivers/node, named by its file, by a driver that does not say that it has a
// clock.

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text) => write(String(text).replace(', "clock"', "").replace(',"clock"', ""));
await import(`../../examples/drivers/node/${process.argv[2]}`);
