-- The roles of accounts: names whose meaning the applications define.
create table roles (
    account_id text    not null references accounts (id) on delete cascade,
    role       text    not null,
    given_at   integer not null,
    primary key (account_id, role)
) strict;

create index roles_by_role on roles (role, account_id);
