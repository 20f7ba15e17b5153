import makeFetchCookie from 'fetch-cookie';
import * as cloakroom from './cloakroom';
import { createClient } from './cloakroom/client';

export async function visit(baseUrl: string, username: string, password: string) {
  const client = createClient({ baseUrl, fetch: makeFetchCookie(fetch) }); // keeps the cookie
  const { error } = await cloakroom.login({ client, body: { username, password } });
  if (error?.code === 'invalid_credentials') throw new Error('Wrong user name or password.');
  if (error) throw new Error(`${error.status} ${error.title}`); // for example a new code

  const secret = await cloakroom.readPrivate({ client });
  const list = await cloakroom.listSessions({ client, query: { limit: 20 } });
  for (const { id } of list.data?.sessions.filter((session) => !session.current) ?? [])
    await cloakroom.revokeSession({ client, path: { id } });
  await cloakroom.logout({ client });
  return secret.data?.private;
}
