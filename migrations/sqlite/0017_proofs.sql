-- The address that the user has proved to own, and the same in small letters, which no other account
-- has. Null: none.
alter table accounts add column email text;
alter table accounts add column email_key text;

-- The address that a code was last requested for. It reserves nothing: any number of accounts may have
-- the same one. Null: none.
alter table accounts add column unconfirmed_email text;

create unique index accounts_by_email on accounts (email_key);

-- What was mailed to a user: whoever presents it has read the mail. Only digests are stored.
create table proofs (
    digest           blob not null primary key,
    account_id       text not null references accounts (id) on delete cascade,
    purpose          text not null,     -- the kind of the mail
    mailbox          text,              -- the address that got it, in small letters; null: an operator handed it over
    mail_id          text,              -- the mail that contained it; a mail that is sent again contains another secret
    password_version integer not null,  -- good while the account has this password
    created_at       integer not null,
    expires_at       integer not null
) strict;

create index proofs_by_account on proofs (account_id);
create index proofs_by_expiry on proofs (expires_at);

-- The account that a mail is about, and the client that caused the mail: its IP address and its browser.
alter table mails add column account_id text references accounts (id) on delete cascade;
alter table mails add column address text;
alter table mails add column browser text;

create index mails_by_account on mails (account_id);
