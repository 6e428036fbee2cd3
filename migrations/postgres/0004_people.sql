-- People, their tokens, and a log of what they do. Only adds: a program of the version before goes on. It knows neither an account
-- that is disabled nor a token's end and scopes, so let it not run beside this one for long.

-- No password yet is an empty one: it is the hash of nothing, so no program lets anybody in with it.
alter table user_account
    add column disabled_at   timestamptz,
    add column last_login_at timestamptz;

-- Who holds the secret may set the password of the account, once.
create table invitation (
    hash       bytea primary key check (length(hash) = 32),
    account    integer not null references user_account (id) on delete cascade,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index invitation_account on invitation (account);

-- Where an account logged in from: guesses from elsewhere never keep its owner out here.
create table known_address (
    account integer not null references user_account (id) on delete cascade,
    address text not null,
    seen_at timestamptz not null,
    primary key (account, address)
);

-- Scopes are words with a space between; none is all of the role.
alter table api_token
    add column scopes       text not null default '',
    add column expires_at   timestamptz,
    add column last_used_at timestamptz,
    add column created_by   text not null default '';

-- Who did what. Each row's hash covers the row and the hash before it, so that a row that was changed or taken out is found.
create table audit_log (
    id         bigint primary key,
    at         timestamptz not null,
    actor      text not null check (octet_length(actor) <= 64),
    actor_kind text not null check (octet_length(actor_kind) <= 16),
    address    text not null check (octet_length(address) <= 64),
    action     text not null check (octet_length(action) <= 64),
    subject    text not null check (octet_length(subject) <= 256),
    outcome    text not null check (octet_length(outcome) <= 16),
    detail     text not null check (octet_length(detail) <= 2048),
    previous   bytea not null check (length(previous) = 32),
    hash       bytea not null check (length(hash) = 32)
);

create or replace function audit_log_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is only ever added to';
end
$$;
create trigger audit_log_only_grows before update or delete on audit_log for each row execute function audit_log_only_grows();
create trigger audit_log_is_not_emptied before truncate on audit_log for each statement execute function audit_log_only_grows();
