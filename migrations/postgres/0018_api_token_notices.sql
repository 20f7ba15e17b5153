-- When the user was told that the token expires soon. Null: not yet.
alter table api_tokens add column notified_at bigint;
