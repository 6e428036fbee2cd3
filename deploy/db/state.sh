# shellcheck shell=bash
# What is in DIR, who may change it, and the processes that belong to it.
#
#   kind, port    what was started, and where it listens
#   owner, server, watchdog    process id and start time; those of the two that we start are written before they run, so that
#                 no SIGKILL leaves a process that nobody knows
#   ready         there once `start` has finished
#   log           everything that the server and its making said
#   data, run     the server's own: its files, and its Unix socket

# Sets STAMP to process id and start time, which together name a process for ever, because ids are used again.
# Fails for what has ended, a zombie too: in a container nobody may be there to reap it. A zombie with threads has not ended yet.
stamp_of() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The second field is the program's name in brackets and may hold spaces: count from the last bracket.
    # shellcheck disable=SC2086
    set -- "$1" ${stat##*) }
    if [[ $2 == [ZX] ]] && ((${19} <= 1)); then return 1; fi
    PARENT=$3
    STAMP="$1 ${21}"
}

process_in() { cut -d' ' -f1 "$1"; }

lives() {
    [[ -s $1 ]] || return 1
    local known
    known=$(<"$1")
    stamp_of "${known% *}" && [[ $STAMP == "$known" ]]
}

# --- who may change it -----------------------------------------------------------------------------------------------------

# The lock is the directory itself, opened: it leaves no file, and a SIGKILL releases it. 1: it is gone, or became another.
lock_directory() {
    { exec {LOCK}<"$DIR"; } 2>/dev/null || return 1
    flock -w 120 "$LOCK" || fail "another process is still changing the database in $DIR."
    [[ $(stat -Lc %d:%i "/proc/self/fd/$LOCK") == $(stat -Lc %d:%i "$DIR" 2>/dev/null) ]]
}

unlock() { exec {LOCK}<&-; }

# As root the server is somebody else: who owns the data of a server that was made before, or else `postgres` or `nobody`.
choose_user() {
    AS=()
    if ((EUID != 0)); then
        USER_ID=$EUID GROUP_ID=$(id -g)
        return 0
    fi
    if [[ -n ${DIR:-} && -d $DIR/data ]]; then
        USER_ID=$(stat -c %u "$DIR/data") GROUP_ID=$(stat -c %g "$DIR/data")
    else
        local name=nobody
        if id -u postgres >/dev/null 2>&1; then name=postgres; fi
        USER_ID=$(id -u "$name") GROUP_ID=$(id -g "$name")
    fi
    AS=(setpriv --reuid="$USER_ID" --regid="$GROUP_ID" --clear-groups --)
}

# Makes DIR ours: what we remember belongs to the caller, what the server writes belongs to the server.
claim_directory() {
    mkdir -p -- "$DIR"
    lock_directory || fail "$DIR was removed by somebody else just now."
    [[ -z $(ls -A -- "$DIR") ]] || fail "$DIR is not empty. A database wants a directory of its own."
    # Before anything else: `stop` must know that all the rest is ours, wherever a SIGKILL ends us.
    printf '%s\n' "$KIND" >"$DIR/kind"
    chmod 755 -- "$DIR"
    mkdir "$DIR/data" "$DIR/run"
    : >"$DIR/log"
    chmod 700 "$DIR/data"
    if ((EUID == 0)); then chown "$USER_ID:$GROUP_ID" "$DIR/data" "$DIR/run"; fi
    # A server in a chroot gets the directory from root.
    if [[ $KIND != timescale-apache ]] && ! "${AS[@]}" test -w "$DIR/run"; then
        rm -rf -- "$DIR"
        fail "user $USER_ID cannot reach $DIR, because a directory above it is closed to others. As root the server does not run as root: choose another directory."
    fi
}

# --- the owner -------------------------------------------------------------------------------------------------------------

# A process that ends with us is not who asked for a database: a subshell, which has the words of the shell that forked it,
# and the commands that run another as somebody else.
is_passing() {
    local name
    name=$(cat "/proc/$1/comm" 2>/dev/null) || return 1
    [[ $name == @(sudo|su|doas|runuser) ]] || cmp -s "/proc/$1/cmdline" "/proc/$2/cmdline"
}

caller() {
    local pid=$PPID
    while ((pid > 1)) && stamp_of "$pid" && ((PARENT > 1)) && is_passing "$pid" "$PARENT"; do pid=$PARENT; done
    printf '%d\n' "$pid"
}

# The watchdog runs before the server does.
remember_owner() {
    if [[ $OWNER == none ]]; then return 0; fi
    stamp_of "${OWNER:=$(caller)}" || fail "there is no process $OWNER to own the database."
    printf '%s\n' "$STAMP" >"$DIR/owner"
    launch watchdog /dev/null "$SELF" watch "$DIR"
}

background_watch() {
    while lives "$DIR/owner"; do sleep 0.5; done
    if [[ -e $DIR/owner ]]; then db_stop; fi
}

# --- processes -------------------------------------------------------------------------------------------------------------

# launch NAME LOG COMMAND…: in the background, in a session of its own (Ctrl-C is not meant for it), and with no open file of
# the caller's: a lock or a pipe that it held would never come free.
launch() {
    local name=$1 log=$2
    shift 2
    rm -f "$DIR/$name"
    (
        stamp_of "$BASHPID"
        printf '%s\n' "$STAMP" >"$DIR/$name"
        exec </dev/null >>"$log" 2>&1
        local descriptor
        for descriptor in /proc/self/fd/*; do
            descriptor=${descriptor##*/}
            if ((descriptor > 2)); then exec {descriptor}<&-; fi
        done
        cd /
        exec setsid "$@"
    ) &
    disown
    until [[ -s $DIR/$name ]]; do sleep 0.01; done
}

children_of() { ps -eo pid=,ppid= | awk -v parent="$1" '$2 == parent { print $1 }'; }

# SIGKILL for a process and all below it. It is stopped first, so that it makes no more of them.
kill_tree() {
    local pid=$1 child
    kill -STOP "$pid" 2>/dev/null || return 0
    for child in $(children_of "$pid"); do kill_tree "$child"; done
    kill -KILL "$pid" 2>/dev/null || true
    while stamp_of "$pid"; do sleep 0.02; done
}

# Waits until DIR/NAME has ended. 1: it has not within so many seconds.
wait_for_end() {
    local file=$1 deadline=$((SECONDS + $2))
    while lives "$file"; do
        if ((SECONDS > deadline)); then return 1; fi
        sleep 0.02
    done
}

# Expects the lock. The watchdog, which comes here too, does not end itself.
remove_all() {
    if [[ -s $DIR/watchdog && $(process_in "$DIR/watchdog") != "$$" ]] && lives "$DIR/watchdog"; then
        kill -KILL "$(process_in "$DIR/watchdog")" 2>/dev/null || true
    fi
    if lives "$DIR/server"; then "stop_$ENGINE"; fi
    "clean_$ENGINE"
    rm -rf --one-file-system -- "$DIR"
}

background_serve() { "serve_$ENGINE"; }
