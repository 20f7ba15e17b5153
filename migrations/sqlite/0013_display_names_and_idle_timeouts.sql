-- The name that apps and pages show for the user: NFC, 1 to 64 characters. Null: none.
alter table accounts add column display_name text;

-- The inactivity timeout in milliseconds that was in force at last_seen_at. A shorter setting holds for the
-- session at once; a longer one holds from its next use, so that it revives no session. Null: a node of an
-- earlier version began the session, and the current setting holds.
alter table sessions add column idle_timeout integer;
