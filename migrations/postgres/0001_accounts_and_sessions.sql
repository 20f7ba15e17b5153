-- Instants are milliseconds since 1970-01-01T00:00:00Z. A null instant says: not yet.
-- Identifiers are 128 random bits in base64url.

create table accounts (
    id            text    not null primary key,
    username      text    not null unique,  -- in its canonical, lower-case form
    password_hash text    not null,         -- PHC string
    created_at    bigint  not null,
    disabled_at   bigint
);

create table sessions (
    digest        bytea   not null primary key,  -- SHA-256 of the token's sid
    id            text    not null unique,       -- the name that listings show
    account_id    text    not null references accounts (id) on delete cascade,
    remember      bigint  not null,              -- 1: the longer lifetimes
    created_at    bigint  not null,
    last_seen_at  bigint  not null,
    expires_at    bigint  not null,              -- the absolute end
    ended_at      bigint
);

create index sessions_by_account on sessions (account_id, created_at);
