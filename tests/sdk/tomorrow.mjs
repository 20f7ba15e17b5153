// The service as a later version may be: passes every request on to the service of today, and
// changes its answers as the contract allows. A refusal has a `code` that nobody has seen, and
// every object of every answer has a field more.
//
//   node tests/sdk/tomorrow.mjs http://127.0.0.1:8000      prints where it listens
import { createServer, request } from 'node:http';

const [, , service] = process.argv;

const NEW = { invalid_credentials: 'wrong_in_a_new_way' };

function grown(value) {
  if (Array.isArray(value)) return value.map(grown);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([name, member]) => [name, grown(member)]);
  return { ...Object.fromEntries(members), code: NEW[value.code] ?? value.code, new_since: '9.9' };
}

createServer((incoming, outgoing) => {
  const { method, url, headers } = incoming;
  const onward = request(new URL(url, service), { method, headers: { ...headers, host: new URL(service).host } });
  onward.on('response', async (answer) => {
    const { statusCode, headers } = answer;
    let body = Buffer.concat(await Array.fromAsync(answer));
    if (/json/.test(headers['content-type'])) {
      body = Buffer.from(JSON.stringify(grown(JSON.parse(body))));
      headers['content-length'] = body.length;
    }
    outgoing.writeHead(statusCode, headers).end(body);
  });
  onward.on('error', (error) => outgoing.destroy(error));
  incoming.pipe(onward);
}).listen(0, '127.0.0.1', function () {
  console.log(`http://127.0.0.1:${this.address().port}`);
});
