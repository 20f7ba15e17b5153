-- When the user last confirmed the session with a password. Null: never, so the session counts as confirmed since it
-- was created.
alter table sessions add column confirmed_at integer;

-- The session whose token a confirmation replaced: for a few seconds, this token still belongs to the session, which
-- it does not confirm. Null: the token is refused. No foreign key, because the record outlives the session.
alter table ended_tokens add column session_id text;
