-- Session tokens that are refused and have no session any more, because its account was deleted or
-- because another token took their place. They stay recorded for a minute or two: a request that was
-- on its way meanwhile must not have the browser forget the cookie that it has by then.
create table ended_tokens (
    digest   bytea  not null primary key,  -- SHA-256 of the token's sid
    ended_at bigint not null
);

create index ended_tokens_by_time on ended_tokens (ended_at);
