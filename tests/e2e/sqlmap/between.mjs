// Forwards requests to the service with a different client address for each, because requests that are refused by a
// rate limit never reach the database and would test nothing.
import { randomBytes } from 'node:crypto';
import { createServer, request as ask } from 'node:http';

const service = new URL(process.argv[2]);

const server = createServer((request, answer) => {
  const [a, b, c, d] = randomBytes(8).toString('hex').match(/..../g);
  const headers = { ...request.headers, 'x-forwarded-for': `2001:${a}:${b}:${c}::${d}` };
  console.log(request.method, request.url); // for counting
  const options = { host: service.hostname, port: service.port, method: request.method, path: request.url, headers };
  const asked = ask(options, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    response.pipe(answer);
  });
  asked.on('error', () => answer.destroy());
  request.pipe(asked);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
