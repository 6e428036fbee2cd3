-- Round-trip times are microseconds, epochs eight bytes in big-endian order. Agents are small integers inside and keys only at
-- the edge. Tables that grow with time are partitioned by it; the program makes partitions as they are needed and drops whole
-- old ones. Where TimescaleDB is there, the program makes hypertables of some of them after the migrations, not here: the
-- extension may appear later, and two of its editions refuse half of it.

-- The oldest program that can work with this schema, as the number of the newest migration that it knows. A migration that
-- takes something away raises it; until then programs of the version before go on beside those of the new one.
create table schema_reader (
    min_reader bigint not null
);
insert into schema_reader values (1);

-- Everyone whose key was ever named. Without a certificate: probed by a member, but not yet known as one.
create table agent (
    id          integer generated always as identity primary key,
    key         bytea not null unique check (length(key) = 32),
    name        text unique,
    site        text,
    certificate bytea,
    member      bytea,
    program     text,
    first_seen  timestamptz not null,
    last_seen   timestamptz
) with (fillfactor = 80);

-- One gapless run of numbers of one agent. Everything up to the cursor is in this database. Room in the pages, so that moving
-- the cursor touches no index.
create table stream (
    id     integer generated always as identity primary key,
    agent  integer not null references agent (id),
    epoch  bytea not null check (length(epoch) = 8),
    cursor bigint not null default 0,
    -- Samples and events up to this number may have been dropped because of their age.
    expired bigint not null default 0,
    unique (agent, epoch)
) with (fillfactor = 50);

-- What came in, for the audit.
create table ingest_block (
    stream      integer not null references stream (id),
    first       bigint not null,
    last        bigint not null,
    rows        integer not null,
    hash        bytea not null check (length(hash) = 32),
    flags       smallint not null,
    received_at timestamptz not null,
    primary key (stream, first)
);

-- Windows. No unique index: the cursor already makes every number come once, and the index would cost more than the rows.
-- Values that do not fit stop at the largest that does.
create table sample (
    time          timestamptz not null,
    source        integer not null,
    target        integer not null,
    kind          smallint not null,
    stream        integer not null,
    seq           bigint not null,
    span_ms       integer not null,
    sent          integer not null,
    received      integer not null,
    late          integer not null,
    duplicated    integer not null,
    not_permitted smallint not null,
    send_failed   smallint not null,
    overload      smallint not null,
    stalled       smallint not null,
    rtt_min       integer,
    rtt_max       integer,
    rtt_sum       bigint,
    histogram     bytea,
    state         smallint not null,
    flags         smallint not null,
    -- The agent's own time where it is not the time above.
    raw_time      timestamptz
) partition by range (time);

create index sample_pair on sample (source, target, kind, time desc);

-- Changes of state.
create table event (
    time       timestamptz not null,
    source     integer not null,
    target     integer not null,
    kind       smallint not null,
    stream     integer not null,
    seq        bigint not null,
    from_state smallint not null,
    to_state   smallint not null,
    flags      smallint not null,
    raw_time   timestamptz
) partition by range (time);

create index event_time on event (time desc);

-- Numbers that their agent gave up.
create table tombstone (
    stream      integer not null references stream (id),
    first       bigint not null,
    last        bigint not null,
    reason      text not null,
    received_at timestamptz not null,
    primary key (stream, first)
);

-- Sums of windows by their beginning. One process at a time adds to them.
create table sample_minute (
    time          timestamptz not null,
    source        integer not null,
    target        integer not null,
    kind          smallint not null,
    windows       bigint not null,
    span_ms       bigint not null,
    down_ms       bigint not null,
    unknown_ms    bigint not null,
    sent          bigint not null,
    received      bigint not null,
    late          bigint not null,
    duplicated    bigint not null,
    not_permitted bigint not null,
    send_failed   bigint not null,
    overload      bigint not null,
    stalled       bigint not null,
    rtt_min       bigint,
    rtt_max       bigint,
    rtt_sum       bigint,
    histogram     bytea,
    unique (source, target, kind, time)
) partition by range (time);

create table sample_hour (
    like sample_minute including defaults,
    unique (source, target, kind, time)
) partition by range (time);

create table sample_day (
    like sample_minute including defaults,
    unique (source, target, kind, time)
) partition by range (time);

-- What was stored and by whom, written in the same transaction: for the other replicas, for the sums, and for the matrix of now
-- at a start. An entry is deleted some minutes after it was added to the sums.
create table journal (
    id          bigint generated always as identity primary key,
    -- Numbers become visible out of order. In the order of transactions, and behind the oldest one under way, none is missed.
    xid         xid8 not null default pg_current_xact_id(),
    origin      bigint not null,
    source      integer not null,
    received_at timestamptz not null,
    -- How many samples, for whoever asks how far behind the sums are.
    windows     integer not null,
    body        bytea not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2, toast_tuple_target = 8160);

-- It is compressed already, and a usual one stays in its row.
alter table journal alter column body set storage external;
create index journal_order on journal (xid, id);
-- For what of one agent is not in the sums yet, which every question for a pair over time adds.
create index journal_source on journal (source, xid, id);

-- Where the sums stand.
create table rollup_cursor (
    singleton boolean primary key default true check (singleton),
    xid       xid8 not null,
    id        bigint not null
);
insert into rollup_cursor (xid, id) values ('0', 0);

-- The matrix of now, one packed row a source, written from memory every few seconds.
create table latest (
    source  integer primary key,
    through timestamptz not null,
    cells   bytea not null
) with (fillfactor = 50);

-- Who may do what only one replica may do.
create table lease (
    role       text primary key,
    holder     bigint not null,
    term       bigint not null,
    expires_at timestamptz not null
);

create table setting (
    name       text primary key,
    value      text not null,
    version    bigint not null,
    changed_at timestamptz not null
);

-- What all replicas must have in common, sealed with a key that is not in this database.
create table secret (
    name   text primary key,
    sealed bytea not null
);

create table join_token (
    id         bytea primary key check (length(id) = 8),
    key        bytea not null check (length(key) = 32),
    site       text,
    uses       bigint not null,
    uses_left  bigint not null check (uses_left >= 0),
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create table user_account (
    id         integer generated always as identity primary key,
    name       text not null unique,
    password   text not null,
    role       text not null,
    created_at timestamptz not null
);

-- Only the SHA-256 of what the browser holds.
create table session (
    hash       bytea primary key check (length(hash) = 32),
    account    integer not null references user_account (id) on delete cascade,
    created_at timestamptz not null,
    seen_at    timestamptz not null
);

create table api_token (
    hash       bytea primary key check (length(hash) = 32),
    name       text not null unique,
    role       text not null,
    created_at timestamptz not null
);

create table login_attempt (
    id      bigint generated always as identity primary key,
    account text not null,
    address text not null,
    at      timestamptz not null
);

create index login_attempt_who on login_attempt (account, address, at);
