create table notes (
    id         text not null unique default (lower(hex(randomblob(16)))),
    account_id text not null references accounts (id) on delete cascade,
    text       text not null
) strict;

create index notes_by_account on notes (account_id);
