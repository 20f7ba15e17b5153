create table notes (
    id         integer primary key autoincrement,
    account_id text    not null references accounts (id) on delete cascade,
    text       text    not null
) strict;

create index notes_by_account on notes (account_id, id);
