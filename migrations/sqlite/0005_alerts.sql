-- Alerts. Times are microseconds since 1970; definitions are JSON that aggregator/src/alerts/wire.rs describes.

create table alert_rule (
    id         integer primary key autoincrement,
    definition text not null,
    version    integer not null,
    changed_at integer not null,
    changed_by text not null
) strict;

-- What is asked until somebody asks for something else. No channel is named, so each that is made is told.
insert into alert_rule (definition, version, changed_at, changed_by) values
    ('{"name":"Unreachable","enabled":true,"condition":{"kind":"unreachable"},"for_s":0,"clear_for_s":0,"severity":"critical"}', 1, 0, ''),
    ('{"name":"Loss above 5 %","enabled":true,"condition":{"kind":"loss","above_permille":50,"below_permille":20},"for_s":300,"clear_for_s":60,"severity":"warning"}', 1, 0, ''),
    ('{"name":"Agent silent","enabled":true,"condition":{"kind":"silent","after_s":60},"for_s":0,"clear_for_s":0,"severity":"warning"}', 1, 0, '');

create table alert_silence (
    id         integer primary key autoincrement,
    definition text not null,
    until_at   integer not null,
    version    integer not null,
    changed_at integer not null,
    changed_by text not null
) strict;

-- Secrets are sealed with a key that is not in this database.
create table alert_channel (
    id            integer primary key autoincrement,
    name          text not null unique,
    definition    text not null,
    sealed        blob not null,
    is_enabled    integer not null,
    version       integer not null,
    changed_at    integer not null,
    changed_by    text not null,
    blocked_until integer not null default 0,
    failures      integer not null default 0,
    trouble       text
) strict;

create table alert_incident (
    id          blob primary key check (length(id) = 16),
    definition  text not null,
    class       text not null,
    severity    text not null,
    opened_at   integer not null,
    ended_at    integer,
    is_silenced integer not null,
    acked_by    text,
    acked_at    integer,
    ack_note    text
) strict;
create index alert_incident_opened on alert_incident (opened_at, id);
create index alert_incident_open on alert_incident (opened_at) where ended_at is null;

-- What each channel should have been told of each incident (number `wanted`; `news` is the last that must be a message of its own),
-- and what it was told (number `sent`).
create table alert_delivery (
    incident   blob not null references alert_incident (id) on delete cascade,
    channel    integer not null references alert_channel (id) on delete cascade,
    wanted     integer not null,
    notice     text not null,
    wanted_at  integer not null,
    news       integer not null,
    sent       integer not null default 0,
    handle     text,
    failed     text,
    holder     integer not null default 0,
    held_until integer not null default 0,
    gist       integer not null,
    words      integer not null,
    is_over    integer not null,
    told_at    integer not null,
    news_at    integer not null,
    primary key (incident, channel)
) strict, without rowid;
create index alert_delivery_due on alert_delivery (wanted_at) where sent < wanted and failed is null;

create table alert_log (
    id       integer primary key autoincrement,
    channel  integer not null references alert_channel (id) on delete cascade,
    incident blob,
    at       integer not null,
    event    text not null,
    result   text not null,
    detail   text not null,
    took_ms  integer not null
) strict;
create index alert_log_channel on alert_log (channel, id);

-- What whoever judges next must know.
create table alert_state (
    id      integer primary key check (id = 1),
    state   blob,
    kept_at integer not null
) strict;
insert into alert_state (id, state, kept_at) values (1, null, 0);
