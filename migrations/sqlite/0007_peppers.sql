-- The pepper that the hash of the password was made with: the name of a secret that is not in the
-- database. By it a start knows which ones it cannot do without.
alter table accounts add column pepper text;
create index accounts_by_pepper on accounts (pepper) where pepper is not null;
