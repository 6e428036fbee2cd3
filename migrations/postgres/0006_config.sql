-- What a mesh measures: every version as it was signed, and which one each agent runs. Only adds: a program of the version before
-- goes on, and tells agents nothing of it.
create table mesh_config (
    version    bigint primary key check (version > 0),
    made_at    timestamptz not null,
    actor      text not null check (octet_length(actor) <= 64),
    actor_kind text not null check (octet_length(actor_kind) <= 16),
    why        text not null check (octet_length(why) <= 256),
    -- The version whose contents it has again.
    copy_of    bigint,
    signed     bytea not null
);

-- As the agent said in a header that it signed.
alter table agent
    add column config_version bigint,
    add column config_at      timestamptz;
