-- User names of closed and deleted accounts: no registration gets them before an instant, or another
-- person would get what apps keep under the name. What is kept of a name is a digest under a secret
-- that is not in the database.
create table held_usernames (
    digest        bytea   not null primary key,  -- HMAC-SHA-256 of the name
    secret_id     text    not null,              -- the server secret that the digest was made with
    held_until    bigint  not null
);

create index held_usernames_by_secret on held_usernames (secret_id, held_until);
create index held_usernames_by_expiry on held_usernames (held_until);
