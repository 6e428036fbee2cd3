# shellcheck shell=bash
# TimescaleDB's Apache edition, which Debian has from trixie on: in a small Debian of its own, used by all servers at once.
# Each server sees its directory in it, through a mount that only its own processes have: nothing has to be unmounted.

# Another recipe makes another root: count up when `make_root` changes.
ROOT_VERSION=1
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/everypath
TIMESCALE_ROOT=$CACHE/timescale-root-$ROOT_VERSION
TIMESCALE_BIN=/usr/lib/postgresql/17/bin

root_is_whole() {
    local file
    for file in "bin/postgres" "bin/initdb" "bin/psql" "lib/timescaledb.so"; do
        [[ -e $TIMESCALE_ROOT/usr/lib/postgresql/17/$file ]] || return 1
    done
    [[ -d $TIMESCALE_ROOT/everypath ]]
}

# The mirror that this machine installs from. Not Debian: none, and mmdebstrap takes its own.
debian_mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1 || true
}

# Made beside its place and moved there when it is whole, so that a root that stands there is one. What a killed making left is
# removed by the next. The hook keeps the package from making a cluster that nobody wants.
# In a mount namespace of its own: mounts of a killed mmdebstrap must not be there when its directory is removed.
make_root() {
    local new mirror sources=()
    rm -rf --one-file-system -- "$TIMESCALE_ROOT" "$TIMESCALE_ROOT".new.*
    mirror=$(debian_mirror)
    if [[ -n $mirror ]]; then sources=("deb $mirror trixie main"); fi
    new=$(mktemp -d "$TIMESCALE_ROOT.new.XXXXXX")
    # shellcheck disable=SC2016
    unshare --mount --propagation private mmdebstrap --quiet --mode=root --variant=minbase \
        --include=postgresql-17,postgresql-17-timescaledb \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook='mkdir -p "$1/etc/postgresql-common/createcluster.d"' \
        --essential-hook='echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.d/everypath.conf"' \
        trixie "$new" "${sources[@]}" || return 1
    mkdir "$new/everypath"
    chmod 755 "$new"
    mv -T "$new" "$TIMESCALE_ROOT"
    root_is_whole
}

prepare_timescale() {
    local lock
    ((EUID == 0)) || skipped 'needs root for the chroot'
    unshare --mount true 2>/dev/null || skipped 'this machine or container may not make mount namespaces'
    mkdir -p "$CACHE"
    # The lock is the directory itself. Two at once: one makes the root, the other waits for it.
    exec {lock}<"$CACHE"
    flock "$lock"
    if ! root_is_whole; then
        (require_packages 'the TimescaleDB tests' mmdebstrap:mmdebstrap) || skipped 'mmdebstrap is missing and could not be installed'
        say "Making a root of Debian trixie with TimescaleDB in $TIMESCALE_ROOT; this takes a minute, once."
        make_root || skipped 'Debian trixie with postgresql-17-timescaledb could not be had from this machine'"'"'s mirror; the lines above say why'
    fi
    exec {lock}<&-
}

# A scheduler runs for each database that has the extension, so the number of workers bounds the number of databases.
timescale_settings() {
    cat <<'CONF'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
max_worker_processes = 96
timescaledb.max_background_workers = 64
CONF
}

# For serve_postgres, of which it sets AS, BIN and base. Runs in a mount namespace of the server's own. The root knows no user
# with our number: initdb wants a name for it.
# shellcheck disable=SC2034
enter_timescale() {
    if [[ ${EVERYPATH_DB_INSIDE:-} != 1 ]]; then
        EVERYPATH_DB_INSIDE=1 exec unshare --mount --propagation private "$SELF" serve "$DIR"
    fi
    printf 'everypath:x:%d:%d::/:/bin/false\n' "$USER_ID" "$GROUP_ID" >"$DIR/passwd"
    mount --bind "$DIR" "$TIMESCALE_ROOT/everypath"
    mount --bind "$DIR/passwd" "$TIMESCALE_ROOT/etc/passwd"
    # The cache may be on a file system without device files.
    mount --rbind /dev "$TIMESCALE_ROOT/dev"
    AS=(chroot --userspec="$USER_ID:$GROUP_ID" --groups= "$TIMESCALE_ROOT")
    BIN=$TIMESCALE_BIN
    base=/everypath
}

# In template1 too, so that every new database has it.
add_timescale() {
    local database
    for database in template1 postgres; do
        chroot --userspec="$USER_ID:$GROUP_ID" --groups= "$TIMESCALE_ROOT" "$TIMESCALE_BIN/psql" --no-psqlrc --quiet \
            --host 127.0.0.1 --port "$(cat "$DIR/port")" --username everypath --dbname "$database" \
            --command 'set client_min_messages = error; create extension timescaledb' >&2
    done
}
