# shellcheck shell=bash
# PostgreSQL: of this machine (postgres), or the one in the chroot (timescale-apache), which differs in the way to its programs.

OLDEST_POSTGRES=15

# Sets BIN to the directory of the newest one.
find_postgres() {
    local version
    BIN=${EVERYPATH_POSTGRES_BIN:-}
    if [[ -n $BIN ]]; then return 0; fi
    for version in $(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | grep -x '[0-9]*' | sort -rn); do
        ((version >= OLDEST_POSTGRES)) || break
        BIN=/usr/lib/postgresql/$version/bin
        if [[ -x $BIN/postgres ]]; then return 0; fi
    done
    return 1
}

# Debian's package makes a cluster and starts it on port 5432 unless it is told not to.
install_postgres() {
    local quiet=/etc/postgresql-common/createcluster.d/everypath.conf
    mkdir -p "${quiet%/*}"
    printf 'create_main_cluster = false\n' >"$quiet"
    (require_packages 'the PostgreSQL tests' initdb:postgresql) || true
    rm -f "$quiet"
    find_postgres
}

prepare_postgres() {
    if [[ $KIND == timescale-apache ]]; then
        prepare_timescale
        return 0
    fi
    if find_postgres; then return 0; fi
    ((EUID == 0)) || skipped "PostgreSQL $OLDEST_POSTGRES or newer is not installed (package postgresql), and only root may install it"
    install_postgres || skipped "PostgreSQL $OLDEST_POSTGRES or newer is not installed (package postgresql) and could not be installed"
}

# The file belongs to the caller and is outside the data, so ALTER SYSTEM works as ever and wins over it.
# mmap: shared memory in files of the data directory. In /dev/shm a killed server would leave it behind.
create_postgres() {
    cat >"$DIR/postgresql.conf" <<'CONF'
listen_addresses = '127.0.0.1'
max_connections = 200
dynamic_shared_memory_type = mmap
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %d '
CONF
    if [[ $KIND == timescale-apache ]]; then timescale_settings >>"$DIR/postgresql.conf"; fi
    if ((FAST)); then printf '%s = off\n' fsync synchronous_commit full_page_writes >>"$DIR/postgresql.conf"; fi
    printf "include = 'tune.conf'\n" >>"$DIR/postgresql.conf"
    : >"$DIR/tune.conf"
}

# For figures that say something about the software and not about defaults made for small machines. fsync stays as it is.
# One checkpoint in 30 minutes, because one that falls into a run of one side only spoils the comparison.
tune_for_benches() {
    cat >"$DIR/tune.conf" <<'CONF'
shared_buffers = 1GB
effective_cache_size = 4GB
maintenance_work_mem = 256MB
work_mem = 32MB
wal_buffers = 64MB
max_wal_size = 8GB
checkpoint_timeout = 30min
CONF
}

# The background process: becomes the server.
serve_postgres() {
    local base=$DIR socket
    if [[ $KIND == timescale-apache ]]; then
        enter_timescale
    else
        find_postgres
    fi
    if [[ ! -e $DIR/ready && ! -e $DIR/data/PG_VERSION ]]; then
        "${AS[@]}" "$BIN/initdb" --pgdata "$base/data" --username everypath --auth trust --encoding UTF8 --locale C.UTF-8 --no-sync --no-instructions
    fi
    # A zombie counts as a living server for PostgreSQL, and in a container nobody may reap it. Its children, if it has any left,
    # still hold their shared memory, which keeps a second server out.
    if [[ -e $DIR/data/postmaster.pid ]] && ! stamp_of "$(head -n 1 "$DIR/data/postmaster.pid")"; then
        rm -rf "$DIR/data/postmaster.pid" "$DIR"/run/.s.PGSQL.*
    fi
    # A socket's path has 107 characters at most, and a server that cannot make one does not start.
    socket=$base/run
    if ((${#socket} > 88)); then socket=; fi
    exec "${AS[@]}" "$BIN/postgres" -D "$base/data" -c "config_file=$base/postgresql.conf" -k "$socket" -p "$(cat "$DIR/port")"
}

# The eighth line of this file is the server's own word that it takes connections. A dead server's file names another process.
ready_postgres() {
    local lines=()
    { mapfile -t lines <"$DIR/data/postmaster.pid"; } 2>/dev/null || return 1
    [[ ${lines[0]:-} == $(process_in "$DIR/server") && ${lines[7]:-} == ready* ]]
}

finish_postgres() {
    if [[ $KIND == timescale-apache ]]; then add_timescale; fi
}

# A fast shutdown: transactions are rolled back, the data are flushed.
shut_down_postgres() {
    kill -INT "$(process_in "$DIR/server")"
    wait_for_end "$DIR/server" "$1" || fail "the server in $DIR did not end within $1 s."
}

# At once, but by its own hand where possible, because it then removes its shared memory. What is not a server yet has no such hand.
stop_postgres() {
    if [[ -e $DIR/ready ]]; then
        kill -QUIT "$(process_in "$DIR/server")" 2>/dev/null || true
        if wait_for_end "$DIR/server" 3; then return 0; fi
    fi
    kill_tree "$(process_in "$DIR/server")"
}

# A killed server leaves a segment of System V memory; the seventh line of its file says which.
clean_postgres() {
    local lines=() segment
    { mapfile -t lines <"$DIR/data/postmaster.pid"; } 2>/dev/null || return 0
    read -r _ segment <<<"${lines[6]:-}"
    if [[ -n $segment ]]; then "${AS[@]}" ipcrm --shmem-id "$segment" 2>/dev/null || true; fi
}
