-- API tokens: programs present them instead of a session, and act for the account with some of its
-- roles until a day. A token that was revoked or has expired has no row.
create table api_tokens (
    digest       bytea   not null primary key,  -- the SHA-256 of the token
    id           text    not null unique,       -- names it in lists
    account_id   text    not null references accounts (id) on delete cascade,
    name         text    not null,              -- what its owner calls it
    roles        text    not null,              -- at most these roles of the account, separated by spaces
    created_at   bigint  not null,
    expires_at   bigint  not null,
    last_used_at bigint                         -- accurate to one minute
);

create index api_tokens_by_account on api_tokens (account_id, created_at, id);
create index api_tokens_by_expiry on api_tokens (expires_at);
