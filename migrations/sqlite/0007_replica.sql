-- Which processes are on the database, and who made a join token.
create table replica (
    -- Drawn at the start of the process.
    id         integer primary key,
    host       text not null check (length(cast(host as blob)) <= 64),
    version    text not null check (length(cast(version as blob)) <= 64),
    started_at integer not null,
    -- By the clock of the database, every few seconds.
    seen_at    integer not null
) strict;

-- Name of the account or token; empty for the command line.
alter table join_token add column created_by text not null default '' check (length(cast(created_by as blob)) <= 64);
