-- What a mesh measures: every version as it was signed, and which one each agent runs.
create table mesh_config (
    version    integer primary key check (version > 0),
    made_at    integer not null,
    actor      text not null check (length(cast(actor as blob)) <= 64),
    actor_kind text not null check (length(cast(actor_kind as blob)) <= 16),
    why        text not null check (length(cast(why as blob)) <= 256),
    -- The version whose contents it has again.
    copy_of    integer,
    signed     blob not null
) strict;

-- As the agent said in a header that it signed.
alter table agent add column config_version integer;
alter table agent add column config_at integer;
