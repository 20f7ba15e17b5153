// Forwards every request to the service, and changes its responses:
//
//   node tests/e2e/sdk/between.mjs http://127.0.0.1:8000 later     prints its address
//
// later        like a later version, as the contract allows: a refusal has an unknown `code`, and every
//              object of every response has an additional field
// one-cookie   only the session's cookie: `redocly respect` reads only the last Set-Cookie of a response,
//              which is not the session's where there are two
import { randomInt } from 'node:crypto';
import { createServer, request } from 'node:http';

const [, , service, change] = process.argv;
const changed = { later: { body: grown }, 'one-cookie': { cookies: sessionsAlone } }[change];

const NEW = { invalid_credentials: 'wrong_in_a_new_way' };

function grown(value) {
  if (Array.isArray(value)) return value.map(grown);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([name, member]) => [name, grown(member)]);
  return { ...Object.fromEntries(members), code: NEW[value.code] ?? value.code, new_since: '9.9' };
}

function sessionsAlone(cookies) {
  return cookies.filter((cookie) => cookie.startsWith('session='));
}

createServer((incoming, outgoing) => {
  const { method, url } = incoming;
  const headers = { ...incoming.headers, host: new URL(service).host };
  // Each request of a link comes from another loopback address, because one address may send only a few.
  const localAddress = url === '/password-reset' ? `127.0.${randomInt(1, 256)}.${randomInt(1, 255)}` : undefined;
  const onward = request(new URL(url, service), { method, headers, localAddress });
  onward.on('response', async (answer) => {
    const { statusCode, headers } = answer;
    let body = Buffer.concat(await Array.fromAsync(answer));
    if (changed.body && /json/.test(headers['content-type'])) {
      body = Buffer.from(JSON.stringify(changed.body(JSON.parse(body))));
      headers['content-length'] = body.length;
    }
    if (changed.cookies && headers['set-cookie'])
      headers['set-cookie'] = changed.cookies(headers['set-cookie']);
    outgoing.writeHead(statusCode, headers).end(body);
  });
  onward.on('error', (error) => outgoing.destroy(error));
  incoming.pipe(onward);
}).listen(0, '127.0.0.1', function () {
  console.log(`http://127.0.0.1:${this.address().port}`);
});
