-- One-time invitations to register. Whoever uses one removes its row.
create table invites (
    digest        blob    not null primary key,  -- SHA-256 of the code
    id            text    not null unique,       -- the name that listings show
    created_at    integer not null,
    expires_at    integer not null
) strict;

create index invites_by_expiry on invites (expires_at);

-- Counts the passwords of an account: a hash may be renewed, and the password is still the same.
alter table accounts add column password_version integer not null default 1;

-- What verifying takes, in microseconds of one core as far as that can be told from the hash. It
-- puts the dearest one first. Until now every hash was Argon2id with 19 MiB and 2 passes.
alter table accounts add column hash_cost integer not null default 23347;
create index accounts_by_hash_cost on accounts (hash_cost);
