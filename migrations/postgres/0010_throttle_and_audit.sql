-- The number of the newest failure of a key, and up to which number they were forgotten: a sign-in that
-- succeeds forgets the failures up to its own number, and none that was counted after it.
alter table attempts add column counted bigint not null default 0;
alter table attempts add column forgiven bigint not null default 0;

-- How many events of an account are kept is bounded, for each kind by itself: the cleaner finds by
-- this the one behind which an account has too many.
create index events_by_account_and_kind on events (account_id, refusal, id);
