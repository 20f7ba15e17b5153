// Reads the mails of a service that writes them to a folder, for programs that have no mailbox:
//
//   node tests/e2e/sdk/mailbox.mjs FOLDER      prints its address
//
//   GET /code/ann@example.org      the code of the newest mail to this address that has one
//   GET /token/ann@example.org     the token of the link in the newest mail that has one
//
// The response waits until there is such a mail, for a minute at most.
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [, , folder] = process.argv;
const secrets = { code: /\/account\/email\?code=(\S+)/, token: /\/password-reset\/confirm\?token=(\S+)/ };

async function find(kind, address) {
  for (let tries = 0; tries < 600; tries++) {
    const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.eml'));
    for (const name of names.sort().reverse()) {
      const mail = await readFile(join(folder, name), 'utf8');
      const [, secret] = secrets[kind].exec(mail) ?? [];
      if (secret && mail.includes(`\r\nTo: ${address}\r\n`)) return secret;
    }
    await sleep(100);
  }
}

createServer(async ({ url }, response) => {
  const [, kind, address] = url.split('/');
  const secret = kind in secrets && (await find(kind, decodeURIComponent(address)));
  response.writeHead(secret ? 200 : 404, { 'content-type': 'text/plain' }).end(secret || 'no mail');
}).listen(0, '127.0.0.1', function () {
  console.log(`http://127.0.0.1:${this.address().port}`);
});
