-- Instants are milliseconds since 1970-01-01T00:00:00Z. A null instant says: not yet.
-- Identifiers are 128 random bits in base64url.

create table accounts (
    id            text    not null primary key,
    username      text    not null unique,  -- in its canonical, lower-case form
    password_hash text    not null,         -- PHC string
    created_at    integer not null,
    disabled_at   integer
) strict;

create table sessions (
    digest        blob    not null primary key,  -- SHA-256 of the token's sid
    id            text    not null unique,       -- the name that listings show
    account_id    text    not null references accounts (id) on delete cascade,
    remember      integer not null,              -- 1: the longer lifetimes
    created_at    integer not null,
    last_seen_at  integer not null,
    expires_at    integer not null,              -- the absolute end
    ended_at      integer
) strict;

create index sessions_by_account on sessions (account_id, created_at);
