// An app without logins of its own: it shows the headers that reach it, on a page with some rows.
import { createServer } from 'node:http';

const rows = Array.from({ length: 200 }, (_, n) => ({ id: n, title: `Page ${n}`, changed: 1_700_000_000_000 + n }));
const escape = (text) => text.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);

createServer((request, answer) => {
  if (request.url.split('?')[0] === '/headers') {
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify(request.headersDistinct));
    return;
  }
  const who = escape(String(request.headers['remote-user']));
  const lines = rows.map((row) => `<li><a href="/${row.id}">${escape(row.title)}</a> ${new Date(row.changed).toISOString()}</li>`);
  answer.setHeader('content-type', 'text/html; charset=utf-8');
  answer.end(`<!doctype html><title>Wiki</title><h1>Hello, ${who}</h1><ul>${lines.join('')}</ul>`);
}).listen(Number(process.argv[2]), '127.0.0.1');
