-- People, their tokens, and a log of what they do.

-- No password yet is an empty one: it is the hash of nothing, so no program lets anybody in with it.
alter table user_account add column disabled_at integer;
alter table user_account add column last_login_at integer;

-- Who holds the secret may set the password of the account, once.
create table invitation (
    hash       blob primary key check (length(hash) = 32),
    account    integer not null references user_account (id) on delete cascade,
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;
create index invitation_account on invitation (account);

-- Where an account logged in from: guesses from elsewhere never keep its owner out here.
create table known_address (
    account integer not null references user_account (id) on delete cascade,
    address text not null,
    seen_at integer not null,
    primary key (account, address)
) strict, without rowid;

-- Scopes are words with a space between; none is all of the role.
alter table api_token add column scopes text not null default '';
alter table api_token add column expires_at integer;
alter table api_token add column last_used_at integer;
alter table api_token add column created_by text not null default '';

-- Lengths in bytes, in words that older tools of SQLite know too.
-- Who did what. Each row's hash covers the row and the hash before it, so that a row that was changed or taken out is found.
create table audit_log (
    id         integer primary key,
    at         integer not null,
    actor      text not null check (length(cast(actor as blob)) <= 64),
    actor_kind text not null check (length(cast(actor_kind as blob)) <= 16),
    address    text not null check (length(cast(address as blob)) <= 64),
    action     text not null check (length(cast(action as blob)) <= 64),
    subject    text not null check (length(cast(subject as blob)) <= 256),
    outcome    text not null check (length(cast(outcome as blob)) <= 16),
    detail     text not null check (length(cast(detail as blob)) <= 2048),
    previous   blob not null check (length(previous) = 32),
    hash       blob not null check (length(hash) = 32)
) strict;

create trigger audit_log_is_not_changed before update on audit_log begin
    select raise(abort, 'audit_log is only ever added to');
end;
create trigger audit_log_loses_nothing before delete on audit_log begin
    select raise(abort, 'audit_log is only ever added to');
end;
