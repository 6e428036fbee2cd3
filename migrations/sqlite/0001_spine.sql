-- Times are microseconds since 1970-01-01 UTC, round-trip times microseconds, epochs eight bytes in big-endian order.
-- Agents are small integers inside and keys only at the edge.

-- Everyone whose key was ever named. Without a certificate: probed by a member, but not yet known as one.
create table agent (
    id          integer primary key,
    key         blob not null unique check (length(key) = 32),
    name        text unique,
    site        text,
    certificate blob,
    member      blob,
    program     text,
    first_seen  integer not null,
    last_seen   integer
) strict;

-- One gapless run of numbers of one agent. Everything up to the cursor is in this database.
create table stream (
    id     integer primary key,
    agent  integer not null references agent (id),
    epoch  blob not null check (length(epoch) = 8),
    cursor integer not null default 0,
    -- Samples up to this number may have been deleted because of their age.
    expired integer not null default 0,
    unique (agent, epoch)
) strict;

-- What came in, for the audit. sample_first is the id that the block's first sample got or would have got: where to begin
-- when the samples since a time of receipt are wanted.
create table ingest_block (
    stream       integer not null references stream (id),
    first        integer not null,
    last         integer not null,
    rows         integer not null,
    hash         blob not null check (length(hash) = 32),
    flags        integer not null,
    received_at  integer not null,
    sample_first integer not null,
    primary key (stream, first)
) strict, without rowid;

create index ingest_block_received on ingest_block (received_at, sample_first);

-- Windows. No unique index: the cursor already makes every number come once, and the index would cost more than the rows.
create table sample (
    id           integer primary key,
    time         integer not null,
    source       integer not null,
    target       integer not null,
    kind         integer not null,
    stream       integer not null,
    seq          integer not null,
    span_ms      integer not null,
    sent         integer not null,
    received     integer not null,
    late         integer not null,
    duplicated   integer not null,
    not_measured integer not null,
    rtt_min      integer,
    rtt_max      integer,
    rtt_sum      integer,
    histogram    blob,
    state        integer not null,
    flags        integer not null,
    -- The agent's own time where it is not the time above.
    raw_time     integer
) strict;

create index sample_pair on sample (source, target, kind, time desc);

-- Changes of state.
create table event (
    id         integer primary key,
    time       integer not null,
    source     integer not null,
    target     integer not null,
    kind       integer not null,
    stream     integer not null,
    seq        integer not null,
    from_state integer not null,
    to_state   integer not null,
    flags      integer not null,
    raw_time   integer
) strict;

create index event_time on event (time desc);

-- Numbers that their agent gave up.
create table tombstone (
    stream      integer not null references stream (id),
    first       integer not null,
    last        integer not null,
    reason      text not null,
    received_at integer not null,
    primary key (stream, first)
) strict, without rowid;

-- The matrix of now, one packed row a source, written from memory every few seconds.
create table latest (
    source  integer primary key,
    through integer not null,
    cells   blob not null
) strict;

create table join_token (
    id         blob primary key check (length(id) = 8),
    key        blob not null check (length(key) = 32),
    site       text,
    uses       integer not null,
    uses_left  integer not null check (uses_left >= 0),
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;

create table user_account (
    id         integer primary key,
    name       text not null unique,
    password   text not null,
    role       text not null,
    created_at integer not null
) strict;

-- Only the SHA-256 of what the browser holds.
create table session (
    hash       blob primary key check (length(hash) = 32),
    account    integer not null references user_account (id) on delete cascade,
    created_at integer not null,
    seen_at    integer not null
) strict, without rowid;

create table api_token (
    hash       blob primary key check (length(hash) = 32),
    name       text not null unique,
    role       text not null,
    created_at integer not null
) strict, without rowid;

create table login_attempt (
    id      integer primary key,
    account text not null,
    address text not null,
    at      integer not null
) strict;

create index login_attempt_who on login_attempt (account, address, at);
