-- What a service keeps for a session beside who is signed in: a JSON text of each type of its own.
create table session_data (
    key        text    not null primary key,  -- the session's id, and the name of the type
    session_id text    not null references sessions (id) on delete cascade,
    value      text    not null,
    version    integer not null               -- counts the changes: who changes it names the one it saw
) strict;

create index session_data_by_session on session_data (session_id);
