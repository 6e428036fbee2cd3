#!/usr/bin/env bash
# Checks the units: how much they expose, and whether the programs run in them as docs/guide/systemd.md says. For the second
# part a systemd of its own boots in namespaces, from a root file system of Debian. Needs root; leaves nothing behind.
#
#   EVERYPATH_BIN_DIR       the directory of the programs (target/debug)
#   EVERYPATH_SYSTEMD_TAR   where the root file system is kept between two runs; making it takes a minute or two
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

UNITS=$ROOT/deploy/systemd
# In tenths, as systemd counts: 1.5, of 10.
EXPOSURE_MAX=15
BOOT_PID=
GROUP=

clean_up() {
    if [[ -n $BOOT_PID ]]; then
        kill -KILL "$BOOT_PID" 2>/dev/null || true
        wait "$BOOT_PID" 2>/dev/null || true
    fi
    if [[ -n $GROUP ]]; then
        # The kernel empties the groups a moment after the processes are gone.
        local deadline=$((SECONDS + 10))
        while [[ -d $GROUP ]] && ((SECONDS < deadline)); do
            find "$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
        done
    fi
    rm -rf -- "$WORK"
}

check_exposure() {
    local unit
    for unit in everypath-aggregator everypath-agent; do
        if ! systemd-analyze security --offline=true --threshold=$EXPOSURE_MAX "$UNITS/$unit.service" >"$WORK/exposure"; then
            cat "$WORK/exposure"
            fail "$unit.service exposes more than $EXPOSURE_MAX tenths."
        fi
        say "ok  $unit: $(tail -n 1 "$WORK/exposure" | sed 's/.*exposure level/exposure level/')"
    done
}

why_no_boot() {
    local tool
    if ((EUID != 0)); then printf 'booting one needs root\n' && return; fi
    for tool in mmdebstrap unshare nsenter pivot_root; do
        if ! command -v "$tool" >/dev/null; then printf 'the command %s is missing\n' "$tool" && return; fi
    done
    if ! findmnt --noheadings --types cgroup2 >/dev/null; then printf 'this machine has no unified hierarchy of control groups\n'; fi
}

boot() {
    local tar=${EVERYPATH_SYSTEMD_TAR:-$WORK/tree.tar} deadline=$((SECONDS + 60))
    if [[ ! -s $tar ]]; then
        # In a mount namespace of its own: what a killed mmdebstrap has mounted goes with it.
        unshare --mount --propagation private mmdebstrap --mode=root --quiet --variant=minbase --include=systemd,systemd-sysv,ca-certificates,curl,procps \
            bookworm "$tar"
    fi
    mkdir "$WORK/tree"
    tar -C "$WORK/tree" -xf "$tar"
    GROUP=$(findmnt --noheadings --types cgroup2 --output TARGET | head -n 1)/$(basename "$WORK")
    mkdir "$GROUP"
    "$UNITS/boot.sh" "$WORK/tree" "$GROUP" >"$WORK/boot.log" 2>&1 &
    BOOT_PID=$!
    until [[ $(inside systemctl is-system-running 2>/dev/null) =~ running|degraded ]]; do
        if ! kill -0 "$BOOT_PID" 2>/dev/null || ((SECONDS > deadline)); then
            tail -n 20 "$WORK/boot.log" >&2
            fail 'systemd did not boot; the end of its log is above.'
        fi
        sleep 0.5
    done
}

inside() {
    local init
    init=$(tr -d ' ' <"/proc/$BOOT_PID/task/$BOOT_PID/children")
    # The path of this shell is not the one inside.
    nsenter --target "$init" --net --mount --pid --uts --ipc --cgroup env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# The steps of docs/guide/systemd.md.
install_units() {
    install -m 0755 "$BIN_DIR/aggregator" "$BIN_DIR/mesh-agent" "$WORK/tree/usr/local/bin/"
    install -m 0644 "$UNITS"/*.service "$WORK/tree/etc/systemd/system/"
    install -D -m 0644 "$UNITS/everypath.sysusers" "$WORK/tree/etc/sysusers.d/everypath.conf"
    inside systemd-sysusers 2>/dev/null
    inside systemctl daemon-reload
    if ! inside systemd-analyze verify everypath-aggregator.service everypath-agent.service 2>"$WORK/verify"; then
        cat "$WORK/verify" >&2
        fail 'systemd finds fault with the units.'
    fi
    say 'ok  systemd finds no fault with the units'
}

wait_until() {
    local what=$1 seconds=$2 deadline
    shift 2
    deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > deadline)); then
            inside journalctl --no-pager --lines 40 >&2 || true
            fail "not within $seconds s: $what. The journal is above."
        fi
        sleep 0.5
    done
    say "ok  $what"
}

is_active() { [[ $(inside systemctl is-active "$1") == active ]]; }

aggregator_is_ready() { inside curl --silent --fail http://127.0.0.1:8080/readyz; }

agent_may_ping() {
    local said
    said=$(inside runuser -u everypath-agent -- mesh-agent status) && ! grep -q 'NOT PERMITTED' <<<"$said" && printf '%s\n' "$said" >"$WORK/status"
}

ended_in_order() { [[ $(inside systemctl show "$1" --property Result,ExecMainStatus | sort | tr '\n' ' ') == 'ExecMainStatus=0 Result=success ' ]]; }

run_aggregator() {
    inside systemctl enable --now everypath-aggregator 2>/dev/null
    wait_until 'the aggregator is ready' 30 aggregator_is_ready
    inside journalctl --unit everypath-aggregator | grep -A1 'Log in as' | grep -q '/welcome#' || fail 'the journal has no link of the first login.'
}

run_agent() {
    local token
    inside systemctl start everypath-agent
    if is_active everypath-agent; then fail 'the agent was started before it had joined.'; fi
    token=$(inside runuser -u everypath -- aggregator token create --data-dir /var/lib/everypath)
    inside install -d -o everypath-agent -g everypath-agent -m 0700 /var/lib/everypath-agent
    inside runuser -u everypath-agent -- mesh-agent join "$token" --name web-1 --site berlin
    inside systemctl enable --now everypath-agent 2>/dev/null
    wait_until 'the agent runs, and may ping' 30 agent_may_ping
}

# The drop-in of the guide, where the kernel lets the agent's group ping.
run_agent_without_capability() {
    inside sysctl --quiet net.ipv4.ping_group_range='0 2147483647'
    mkdir -p "$WORK/tree/etc/systemd/system/everypath-agent.service.d"
    printf '[Service]\nCapabilityBoundingSet=\nAmbientCapabilities=\n' >"$WORK/tree/etc/systemd/system/everypath-agent.service.d/override.conf"
    inside systemctl daemon-reload
    inside systemctl restart everypath-agent
    wait_until 'the agent may ping without any capability' 30 agent_may_ping
    # shellcheck disable=SC2016
    [[ $(inside sh -c 'grep CapBnd /proc/$(systemctl show everypath-agent --property MainPID --value)/status') == *0000000000000000 ]] ||
        fail 'the agent has a capability.'
}

survive() {
    local unit
    inside systemctl kill --signal KILL everypath-aggregator everypath-agent
    sleep 1
    wait_until 'the aggregator is back after SIGKILL' 30 aggregator_is_ready
    wait_until 'the agent is back after SIGKILL' 30 agent_may_ping
    inside systemctl stop everypath-agent everypath-aggregator
    for unit in everypath-agent everypath-aggregator; do
        ended_in_order "$unit" || fail "$unit did not end in order: $(inside systemctl show "$unit" --property Result,ExecMainStatus | tr '\n' ' ')"
    done
    say 'ok  both end in order'
    if inside journalctl --no-pager --grep 'audit.*SECCOMP|Operation not permitted' >"$WORK/denied" 2>&1; then
        cat "$WORK/denied" >&2
        fail 'something was forbidden that a program tried.'
    fi
}

main() {
    local why
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-systemd.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if ! command -v systemd-analyze >/dev/null; then
        say 'SKIPPED: systemd: systemd-analyze is not installed (package systemd)'
        return
    fi
    check_exposure
    why=$(why_no_boot)
    if [[ -n $why ]]; then
        say "SKIPPED: systemd: $why"
        return
    fi
    build_programs ''
    boot
    install_units
    run_aggregator
    run_agent
    run_agent_without_capability
    survive
    say 'The units work.'
}

main "$@"
