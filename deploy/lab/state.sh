# shellcheck shell=bash
# What the lab remembers about itself, so that it removes what it made, all of it, and nothing else.
#
# <state>/<lab number>/made      one line for each thing, written before the thing is made: a SIGKILL between the two leaves a
#                                line too many, which removing tolerates, and never a thing too many
#                     complete   there once `up` has finished
#                     owner      process id and start time of the program that the lab belongs to; a lab without owner is a
#                                person's, and stays until `down`
#                     network    its range
#                     breaks     what is broken: FROM TO PERMILLE
#
# Names of namespaces belong to the machine and not to a user, so the state does too: it is under /run for everybody who
# is root, however they became it.

STATE_ROOT=${EVERYPATH_LAB_STATE:-/run/everypath-lab}
STATE=$STATE_ROOT/$LAB_ID

# A lab that stands keeps the range that it was built with, whatever the variables say now.
if [[ -s $STATE/network ]]; then use_network "$(cat "$STATE/network")"; fi

# When a process began, in clock ticks since boot: with the process id it names a process for ever, because ids are used again.
start_time_of() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The second field is the program's name in brackets and may hold spaces: count from the last bracket.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    printf '%s\n' "${20}"
}

describe_process() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null || printf 'a process that has ended'; }

# The lock is an open file, so a SIGKILL releases it. Whoever waited may get the lock of a file that its holder has deleted
# meanwhile, and would then share the lab with the next comer: hence the comparison and the second try.
take_lock() {
    local directory=$1 wait_s=$2
    while true; do
        mkdir -p "$directory"
        { exec 9>>"$directory/lock"; } 2>/dev/null || continue
        if ! flock -w "$wait_s" 9; then return 1; fi
        if [[ $(stat -Lc %d:%i /proc/self/fd/9) == $(stat -Lc %d:%i "$directory/lock" 2>/dev/null) ]]; then break; fi
    done
    # Not $$: in a subshell that is the id of the parent.
    printf '%d\n' "$BASHPID" >"$directory/holder"
}

lock_or_fail() {
    if ! take_lock "$STATE" 30; then
        local holder
        holder=$(cat "$STATE/holder" 2>/dev/null || printf '?')
        busy "lab $LAB_ID is being changed by process $holder ($(describe_process "$holder")). Wait for it, or set EVERYPATH_LAB_ID=$(((LAB_ID + 1) % 100)) for a lab of your own."
    fi
}

is_marked() { [[ -s $STATE/made ]]; }
is_complete() { [[ -e $STATE/complete ]]; }

owner_is_dead() {
    local directory=$1 pid start
    [[ -s $directory/owner ]] || return 1
    read -r pid start <"$directory/owner"
    [[ $(start_time_of "$pid" || true) != "$start" ]]
}

# A lab is a ruin when its `up` never finished (we hold the lock, so nobody is still at it) or its owner is gone.
is_ruin() {
    [[ -s $1/made ]] || return 1
    [[ ! -e $1/complete ]] || owner_is_dead "$1"
}

remember() { printf '%s\n' "$*" >>"$STATE/made"; }

namespace_exists() { [[ -e /run/netns/$1 || -e /var/run/netns/$1 ]]; }
link_exists() { [[ -e /sys/class/net/$1 ]]; }

end_processes_in() {
    local namespace=$1 pids
    pids=$(ip netns pids "$namespace" 2>/dev/null || true)
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -TERM $pids 2>/dev/null || true
}

kill_processes_in() {
    local namespace=$1 pids
    pids=$(ip netns pids "$namespace" 2>/dev/null || true)
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
}

processes_live_in() {
    local namespace
    for namespace in "$@"; do
        if [[ -n $(ip netns pids "$namespace" 2>/dev/null || true) ]]; then return 0; fi
    done
    return 1
}

# Removes all that <directory>/made names. Programs in the namespaces get three seconds to end in order.
remove_made() {
    local directory=$1 kind name marked=() links=() deadline=$((SECONDS + 3))
    while read -r kind name; do
        case $kind in
            namespace) if namespace_exists "$name"; then marked+=("$name"); fi ;;
            link) if link_exists "$name"; then links+=("$name"); fi ;;
            *) printf 'lab: %s/made has a line that this version does not know, left alone: %s %s\n' "$directory" "$kind" "$name" >&2 ;;
        esac
    done <"$directory/made"
    for name in "${marked[@]}"; do end_processes_in "$name"; done
    while ((${#marked[@]} > 0 && SECONDS < deadline)) && processes_live_in "${marked[@]}"; do sleep 0.05; done
    for name in "${marked[@]}"; do kill_processes_in "$name"; done
    # Taking the uplink away takes its address and the host's routes through it with it.
    for name in "${links[@]}"; do ip link delete "$name" 2>/dev/null || true; done
    for name in "${marked[@]}"; do
        ip netns delete "$name" || printf 'lab: namespace %s could not be removed; the line above says why.\n' "$name" >&2
    done
    for name in "${marked[@]}"; do
        if namespace_exists "$name"; then return 1; fi
    done
    rm -f "$directory/made" "$directory/complete" "$directory/owner" "$directory/breaks" "$directory/breaks.new" "$directory/since" "$directory/network"
}

# Removes the ruins of other numbers as well: a killed test run must not leave its lab to whoever comes next.
remove_ruins() {
    local directory
    for directory in "$STATE_ROOT"/*/; do
        directory=${directory%/}
        if [[ ! -d $directory || $directory == "$STATE" ]]; then continue; fi
        (
            take_lock "$directory" 0 || exit 0
            if is_ruin "$directory"; then
                printf 'lab: removing what lab %s left behind when it was killed.\n' "${directory##*/}" >&2
                remove_made "$directory" || true
            fi
            forget_state "$directory"
        )
    done
}

# Only what these scripts write is deleted: the directory may be one that the user named.
forget_state() {
    local directory=$1
    if [[ ! -s $directory/made ]]; then
        rm -f "$directory/holder" "$directory/lock" "$directory/made"
        rmdir "$directory" 2>/dev/null || true
    fi
    rmdir "$STATE_ROOT" 2>/dev/null || true
}
