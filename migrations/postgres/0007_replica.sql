-- Which processes are on the database, and who made a join token. Only adds: a program of the version before is not in the list, and
-- its tokens were made by nobody.
create table replica (
    -- Drawn at the start of the process.
    id         bigint primary key,
    host       text not null check (octet_length(host) <= 64),
    version    text not null check (octet_length(version) <= 64),
    started_at timestamptz not null,
    -- By the clock of the database, every few seconds.
    seen_at    timestamptz not null
);

-- Name of the account or token; empty for the command line.
alter table join_token add column created_by text not null default '' check (octet_length(created_by) <= 64);
