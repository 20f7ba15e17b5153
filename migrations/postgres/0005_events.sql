-- What happened that concerns security, for whoever asks later. No names: people type passwords there.
-- Accounts are not referred to, because what happened stays true when they are gone.
create table events (
    id         bytea   not null primary key,  -- 48 bits of milliseconds and 80 random ones, so in order
    at         bigint  not null,
    event      text    not null,
    refusal    bigint  not null,              -- 1: anybody can make it happen, as often as they like
    account_id text,
    session_id text,
    thing      text,                          -- an invite or a key, by its id
    count      bigint  not null,              -- how many times, or of how many
    address    text,
    request_id text
);

create index events_by_account on events (account_id, id);
create index events_by_refusal on events (refusal, id);
