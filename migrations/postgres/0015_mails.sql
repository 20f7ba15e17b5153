-- The outbox: mail is queued in the transaction of its cause, and a node sends it afterwards. No row
-- contains a secret.
create table mails (
    id         text    not null primary key,  -- also in the mail's Message-ID
    kind       text    not null,
    recipient  text    not null,              -- the address that it is sent to
    created_at bigint  not null,
    due_at     bigint  not null,              -- the time of the next try, or the end of a node's claim
    claimed_at bigint,                        -- when a node took it to send it; null while it waits
    tries      bigint  not null,              -- how often a node took it: only the latest changes the row
    failed_at  bigint,                        -- when it was given up
    reason     text                           -- why the latest try failed
);

create index mails_by_due on mails (due_at) where failed_at is null;
create index mails_by_failure on mails (failed_at) where failed_at is not null;
create index mails_by_creation on mails (created_at, id);
