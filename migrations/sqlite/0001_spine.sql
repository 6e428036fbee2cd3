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

-- What came in, for the audit.
create table ingest_block (
    stream       integer not null references stream (id),
    first        integer not null,
    last         integer not null,
    rows         integer not null,
    hash         blob not null check (length(hash) = 32),
    flags        integer not null,
    received_at  integer not null,
    primary key (stream, first)
) strict, without rowid;

-- Windows, as many in a row as came together: aggregator/core/src/archive.rs, compressed by zstd. A row for each window and the
-- index that finds it would take four times the space. Small ones are packed into large ones when they are an hour old.
-- No number is given out twice, not even that of a deleted block: everything up to the cursor of the sums counts as summed.
create table sample_block (
    id          integer primary key autoincrement,
    stream      integer not null,
    source      integer not null,
    first       integer not null,
    last        integer not null,
    rows        integer not null,
    -- Of its windows: beginning of the first and of the last in time.
    time_first  integer not null,
    time_last   integer not null,
    received_at integer not null,
    body        blob not null
) strict;

-- Blocks that could not be read, put aside so that they stop nobody.
create table damaged_block (
    id          integer primary key,
    stream      integer not null,
    source      integer not null,
    first       integer not null,
    last        integer not null,
    rows        integer not null,
    time_first  integer not null,
    time_last   integer not null,
    received_at integer not null,
    body        blob not null
) strict;

create index sample_block_source on sample_block (source, time_last, time_first);
create index sample_block_age on sample_block (time_last);
create index sample_block_small on sample_block (stream, id) where rows < 2048;

-- Sums of windows: aggregator/core/src/rollup/bytes.rs. A pair's rows lie beside each other, because that is how they are read.
create table sample_minute (
    source integer not null,
    target integer not null,
    kind   integer not null,
    time   integer not null,
    body   blob not null,
    primary key (source, target, kind, time)
) strict, without rowid;

create table sample_hour (
    source integer not null,
    target integer not null,
    kind   integer not null,
    time   integer not null,
    body   blob not null,
    primary key (source, target, kind, time)
) strict, without rowid;

create table sample_day (
    source integer not null,
    target integer not null,
    kind   integer not null,
    time   integer not null,
    body   blob not null,
    primary key (source, target, kind, time)
) strict, without rowid;

-- Everything up to this sample_block is in the sums.
create table rollup_cursor (
    one     integer primary key check (one = 1),
    through integer not null
) strict;

insert into rollup_cursor (one, through) values (1, 0);

-- Jobs that only one process may do. The term goes up with each new holder.
create table lease (
    role       text primary key,
    holder     integer not null,
    term       integer not null,
    expires_at integer not null
) strict, without rowid;

-- What can be set while the program runs, as JSON.
create table setting (
    name       text primary key,
    value      text not null,
    version    integer not null,
    changed_at integer not null
) strict, without rowid;

-- What all processes on this database have in common and the first one made, sealed with a key that is not here.
create table secret (
    name   text primary key,
    sealed blob not null
) strict, without rowid;

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
create index event_stream on event (stream);

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
