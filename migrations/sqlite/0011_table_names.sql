-- The tables get the names of what they hold. Nodes of before the first release that read the former names cannot
-- serve next to this schema.
alter table endings rename to revocations;
drop index endings_by_time;
create index revocations_by_time on revocations (at);

alter table attempts rename to login_attempts;
drop index attempts_by_time;
create index login_attempts_by_time on login_attempts (last_at);
