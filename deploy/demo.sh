#!/usr/bin/env bash
# `make demo`: a mesh of nine agents and an aggregator on this machine, in the foreground, and nothing left when it ends.
#
# As root in network namespaces with routers between them, whose paths can be broken; without root on loopback addresses.
#   EVERYPATH_DEMO_PORT      where the page is to be (8080, or any free port when that is taken)
#   EVERYPATH_DEMO_SECONDS   end by itself after so many seconds
#   EVERYPATH_DEMO_LOOPBACK  1: loopback even as root
#   EVERYPATH_PROFILE        release: slower to build, faster to run
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
# shellcheck source=deploy/demo-programs.sh
source "$ROOT/deploy/demo-programs.sh"

LAB=$ROOT/deploy/lab/lab
HAS_LAB=0
DIRECTORY=
declare -A AGENT_PIDS=()
AGGREGATOR_PID=

finish() {
    local status=$?
    # Tidying is not to be interrupted by a second Ctrl-C: it takes seconds.
    trap '' INT TERM HUP
    trap - EXIT
    if [[ -n $AGGREGATOR_PID ]]; then
        say ''
        say 'Stopping the agents and the aggregator …'
        stop_programs
    fi
    if ((HAS_LAB)); then "$LAB" down || status=1; fi
    if [[ -n $DIRECTORY ]]; then rm -rf -- "$DIRECTORY"; fi
    # Only who started something ends something: another demo may be running.
    if [[ -n $AGGREGATOR_PID ]]; then say 'All gone.'; fi
    exit "$status"
}

choose_mode() {
    MODE=lab
    if [[ ${EVERYPATH_DEMO_LOOPBACK:-0} == 1 ]]; then
        MODE=loopback
    elif ((EUID != 0)); then
        MODE=loopback
        say 'Without root there are no network namespaces: nine agents on loopback addresses. (As root you could break paths and watch.)'
    elif ! unshare --net true 2>/dev/null; then
        MODE=loopback
        say 'This container may not make network namespaces, although you are root: nine agents on loopback addresses.'
    fi
}

icmp_is_allowed() {
    local low high group
    # Root may always send pings, through raw sockets.
    if ((EUID == 0)); then return 0; fi
    read -r low high </proc/sys/net/ipv4/ping_group_range || return 0
    for group in $(id -G); do
        if ((group >= low && group <= high)); then return 0; fi
    done
    return 1
}

say_what_to_try() {
    local lab=deploy/lab/lab inside=
    say ''
    say "  Page      http://127.0.0.1:$HTTP_PORT"
    say '  User      admin'
    say "  Password  $PASSWORD"
    say ''
    if [[ $MODE == lab ]]; then
        if [[ -n ${EVERYPATH_LAB_ID:-} ]]; then lab="EVERYPATH_LAB_ID=$EVERYPATH_LAB_ID $lab"; fi
        say 'The matrix fills within a minute. What to try next, in another terminal, as root:'
        say "  $lab cut alpha-1 beta-2     two cells turn down within 20 s, and only those"
        say "  $lab cut alpha beta         18 cells: a whole site from another"
        say "  $lab loss alpha gamma 10    lossy within two minutes; by chance one says down first"
        say "  $lab heal                   lossy fades within two minutes, the rest at once"
        # An agent answers on the loopback of its own host only.
        inside="$lab exec alpha-1 "
    else
        say 'The matrix fills within a minute. What to try next, in another terminal:'
    fi
    say "  kill -9 \$(cat $DIRECTORY/aggregator.pid)"
    say "                                          the agents measure on; it comes back after $RESTART_AFTER_S s, and no result is missing"
    say "  $inside$BIN_DIR/mesh-agent matrix --data-dir $DIRECTORY/alpha-1"
    say '                                          the same matrix, from an agent, without any server'
    say "Logs are in $DIRECTORY. Ctrl-C ends the demo and removes everything."
}

main() {
    trap finish EXIT
    # Ctrl-C is how a demo ends: no error.
    trap 'exit 0' INT TERM HUP
    if [[ ! ${EVERYPATH_DEMO_PORT:-8080} =~ ^[0-9]{1,5}$ ]]; then
        fail "EVERYPATH_DEMO_PORT is '$EVERYPATH_DEMO_PORT', which is not a port number."
    fi
    choose_mode
    if [[ $MODE == lab ]]; then require_packages 'the lab' ip:iproute2 nft:nftables; fi
    say 'Building the page and the programs: about ten minutes the first time, seconds after that.'
    build_programs ""
    DIRECTORY=$(mktemp -d "${TMPDIR:-/tmp}/everypath-demo.XXXXXX")
    if [[ $MODE == lab ]]; then
        EVERYPATH_LAB_OWNER=$$ "$LAB" up
        HAS_LAB=1
    elif ! icmp_is_allowed; then
        say ''
        say "This kernel does not allow pings without root (net.ipv4.ping_group_range is '$(tr '\t' ' ' </proc/sys/net/ipv4/ping_group_range)')."
        say 'The agents run and find each other, and every path says "unknown": not measured is not the same as lost. To allow pings:'
        say '  sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'
    fi
    start_aggregator
    say_what_to_try
    start_agents
    watch_until_the_end
}

main "$@"
