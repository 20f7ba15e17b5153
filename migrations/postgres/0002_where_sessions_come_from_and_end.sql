-- What a person recognises a session by: the address it began from, and the browser in words.
alter table sessions add column address text;
alter table sessions add column browser text;

-- The cleaner finds by these what has ended, is unused or is too old.
create index sessions_by_end on sessions (ended_at) where ended_at is not null;
create index sessions_by_last_seen on sessions (remember, last_seen_at);
create index sessions_by_expiry on sessions (expires_at);

-- A feed of endings, read by position: whoever keeps sessions of the account in memory looks again.
create table endings (
    position   bigint  generated always as identity primary key,
    account_id text    not null,
    at         bigint  not null
);

create index endings_by_time on endings (at);
