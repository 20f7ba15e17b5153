-- How often somebody tried lately. A key is a digest of who: a name, a device, an address.
create table attempts (
    key      bytea   not null primary key,
    failures bigint  not null,  -- in a row
    free_at  bigint  not null,  -- no further try before this instant
    last_at  bigint  not null
);

create index attempts_by_time on attempts (last_at);
