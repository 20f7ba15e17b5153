-- How often somebody tried lately. A key is a digest of who: a name, a device, an address.
create table attempts (
    key      blob    not null primary key,
    failures integer not null,  -- in a row
    free_at  integer not null,  -- no further try before this instant
    last_at  integer not null
) strict;

create index attempts_by_time on attempts (last_at);
