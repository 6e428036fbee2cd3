-- Alerts. Only adds: a program of the version before does not look here. Numbers and times as on SQLite: both stores read them with
-- the same statements. Times are microseconds since 1970;
-- definitions are JSON that aggregator/src/alerts/wire.rs describes.

create table alert_rule (
    id         bigint generated always as identity primary key,
    definition text not null,
    version    bigint not null,
    changed_at bigint not null,
    changed_by text not null
);

-- What is asked until somebody asks for something else. No channel is named, so each that is made is told.
insert into alert_rule (definition, version, changed_at, changed_by) values
    ('{"name":"Unreachable","enabled":true,"condition":{"kind":"unreachable"},"for_s":0,"clear_for_s":0,"severity":"critical"}', 1, 0, ''),
    ('{"name":"Loss above 5 %","enabled":true,"condition":{"kind":"loss","above_permille":50,"below_permille":20},"for_s":300,"clear_for_s":60,"severity":"warning"}', 1, 0, ''),
    ('{"name":"Agent silent","enabled":true,"condition":{"kind":"silent","after_s":60},"for_s":0,"clear_for_s":0,"severity":"warning"}', 1, 0, '');

create table alert_silence (
    id         bigint generated always as identity primary key,
    definition text not null,
    until_at   bigint not null,
    version    bigint not null,
    changed_at bigint not null,
    changed_by text not null
);

-- Secrets are sealed with a key that is not in this database.
create table alert_channel (
    id            bigint generated always as identity primary key,
    name          text not null unique,
    definition    text not null,
    sealed        bytea not null,
    is_enabled    bigint not null,
    version       bigint not null,
    changed_at    bigint not null,
    changed_by    text not null,
    blocked_until bigint not null default 0,
    failures      bigint not null default 0,
    trouble       text
);

create table alert_incident (
    id          bytea primary key check (length(id) = 16),
    definition  text not null,
    class       text not null,
    severity    text not null,
    opened_at   bigint not null,
    ended_at    bigint,
    is_silenced bigint not null,
    acked_by    text,
    acked_at    bigint,
    ack_note    text
);
create index alert_incident_opened on alert_incident (opened_at, id);
create index alert_incident_open on alert_incident (opened_at) where ended_at is null;

-- What each channel should have been told of each incident (number `wanted`; `news` is the last that must be a message of its own),
-- and what it was told (number `sent`).
create table alert_delivery (
    incident   bytea not null references alert_incident (id) on delete cascade,
    channel    bigint not null references alert_channel (id) on delete cascade,
    wanted     bigint not null,
    notice     text not null,
    wanted_at  bigint not null,
    news       bigint not null,
    sent       bigint not null default 0,
    handle     text,
    failed     text,
    holder     bigint not null default 0,
    held_until bigint not null default 0,
    gist       bigint not null,
    words      bigint not null,
    is_over    bigint not null,
    told_at    bigint not null,
    news_at    bigint not null,
    primary key (incident, channel)
);
create index alert_delivery_due on alert_delivery (wanted_at) where sent < wanted and failed is null;

create table alert_log (
    id       bigint generated always as identity primary key,
    channel  bigint not null references alert_channel (id) on delete cascade,
    incident bytea,
    at       bigint not null,
    event    text not null,
    result   text not null,
    detail   text not null,
    took_ms  bigint not null
);
create index alert_log_channel on alert_log (channel, id);

-- What whoever judges next must know.
create table alert_state (
    id      bigint primary key check (id = 1),
    state   bytea,
    kept_at bigint not null
);
insert into alert_state (id, state, kept_at) values (1, null, 0);
