import makeFetchCookie from 'fetch-cookie';
import createClient from 'openapi-fetch';
import type { paths } from './cloakroom.d.ts';

export async function visit(baseUrl: string, username: string, password: string) {
  const cloakroom = createClient<paths>({ baseUrl, fetch: makeFetchCookie(fetch) }); // keeps the cookie
  const { error } = await cloakroom.POST('/login', { body: { username, password } });
  if (error?.code === 'invalid_credentials') throw new Error('Wrong user name or password.');
  if (error) throw new Error(`${error.status} ${error.title}`); // for example a new code

  const secret = await cloakroom.GET('/private');
  const list = await cloakroom.GET('/sessions', { params: { query: { limit: 20 } } });
  for (const { id } of list.data?.sessions.filter((session) => !session.current) ?? [])
    await cloakroom.DELETE('/sessions/{id}', { params: { path: { id } } });
  await cloakroom.POST('/logout');
  return secret.data?.private;
}
