-- Reports that are sent again and again, by mail. Only adds: a program of the version before sends none. Times are microseconds since 1970; the definition is JSON that
-- aggregator/src/reports/schedule.rs describes. The channel may be gone: then nothing is sent until there is another one.

-- `decided` is the end of the newest period that was decided on. The last that was wanted (number `wanted`, of the period from
-- `period_from` to `period_to`) and what was sent (number `sent`) are as in alert_delivery.
create table report_schedule (
    id          bigint generated always as identity primary key,
    name        text not null unique,
    definition  text not null,
    channel     bigint not null,
    is_enabled  bigint not null,
    version     bigint not null,
    changed_at  bigint not null,
    changed_by  text not null,
    decided     bigint not null,
    wanted      bigint not null default 0,
    period_from bigint not null default 0,
    period_to   bigint not null default 0,
    wanted_at   bigint not null default 0,
    sent        bigint not null default 0,
    failed      text,
    holder      bigint not null default 0,
    held_until  bigint not null default 0
);
