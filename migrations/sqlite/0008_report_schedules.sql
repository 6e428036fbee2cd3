-- Reports that are sent again and again, by mail. Times are microseconds since 1970; the definition is JSON that
-- aggregator/src/reports/schedule.rs describes. The channel may be gone: then nothing is sent until there is another one.

-- `decided` is the end of the newest period that was decided on. The last that was wanted (number `wanted`, of the period from
-- `period_from` to `period_to`) and what was sent (number `sent`) are as in alert_delivery.
create table report_schedule (
    id          integer primary key autoincrement,
    name        text not null unique,
    definition  text not null,
    channel     integer not null,
    is_enabled  integer not null,
    version     integer not null,
    changed_at  integer not null,
    changed_by  text not null,
    decided     integer not null,
    wanted      integer not null default 0,
    period_from integer not null default 0,
    period_to   integer not null default 0,
    wanted_at   integer not null default 0,
    sent        integer not null default 0,
    failed      text,
    holder      integer not null default 0,
    held_until  integer not null default 0
) strict;
