# shellcheck shell=bash
# A Docker engine for a test: in namespaces of its own, so that neither the networks nor the firewall of this machine are
# touched, and gone with the test, even if the test is killed. Expects WORK, an empty directory, and tools.sh.
#
#   EVERYPATH_BASE_TAR    where the root file system of the base image is kept between two runs; making it takes a minute

# The packages of Debian that are unpacked, not installed, where dockerd is missing.
ENGINE_PACKAGES=(docker.io containerd runc tini iptables libip4tc2 libip6tc2 libxtables12 libnfnetlink0 libnetfilter-conntrack3)
ENGINE_PID=

# Prints why no engine can be had; nothing if one can.
why_no_engine() {
    local tool
    if ((EUID != 0)); then printf 'an engine needs root\n' && return; fi
    for tool in unshare nsenter ip curl; do
        if ! command -v "$tool" >/dev/null; then printf 'the command %s is missing\n' "$tool" && return; fi
    done
    if ! command -v mmdebstrap >/dev/null && ! command -v debootstrap >/dev/null; then
        printf 'neither mmdebstrap nor debootstrap is there to make a base image\n' && return
    fi
    if ! unshare --net --mount --pid --fork true 2>/dev/null; then printf 'this machine forbids namespaces\n' && return; fi
    if command -v dockerd >/dev/null && command -v iptables >/dev/null; then return; fi
    unpack_engine >"$WORK/unpack.log" 2>&1 || printf 'there is no dockerd, and its packages cannot be had: %s\n' "$(tail -n 1 "$WORK/unpack.log")"
}

unpack_engine() {
    mkdir -p "$WORK/packages" "$WORK/engine"
    (cd "$WORK/packages" && { apt-get download "${ENGINE_PACKAGES[@]}" || { apt-get update -q && apt-get download "${ENGINE_PACKAGES[@]}"; }; }) || return 1
    local package
    for package in "$WORK"/packages/*.deb; do dpkg-deb --extract "$package" "$WORK/engine" || return 1; done
    rm -rf "$WORK/packages"
}

use_unpacked_engine() {
    [[ -d $WORK/engine ]] || return 0
    PATH=$WORK/engine/usr/sbin:$WORK/engine/usr/bin:$PATH
    # iptables looks for its modules where the package would have put them.
    export XTABLES_LIBDIR=$WORK/engine/usr/lib/x86_64-linux-gnu/xtables
    export LD_LIBRARY_PATH=$WORK/engine/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    # The package knows iptables by alternatives, which unpacking does not make.
    ln -sf iptables-legacy "$WORK/engine/usr/sbin/iptables"
    ln -sf ip6tables-legacy "$WORK/engine/usr/sbin/ip6tables"
}

# Waits until a command succeeds: what it means, how many seconds at most, the command. Expects show_logs.
wait_until() {
    local what=$1 seconds=$2 deadline
    shift 2
    deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > deadline)); then
            show_logs >&2 || true
            fail "not within $seconds s: $what. The logs are above."
        fi
        sleep 1
    done
    say "ok  $what"
}

start_engine() {
    local deadline=$((SECONDS + 60))
    use_unpacked_engine
    export DOCKER_HOST=unix://$WORK/docker.sock
    export DOCKER_CONFIG=$WORK/docker-config
    mkdir -p "$WORK/data" "$WORK/exec" "$DOCKER_CONFIG"
    # A namespace of processes: whatever the engine starts dies with it, and --kill-child sees to it that it dies. It and
    # containerd write into /run, /opt and /etc, whatever they are told; there they get a layer of their own.
    unshare --net --mount --pid --fork --kill-child --mount-proc sh -ec '
        ip link set lo up
        mount -t tmpfs tmpfs /run
        mount -t tmpfs tmpfs /opt
        mkdir /run/upper /run/work
        mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
        exec "$@"' - \
        dockerd --host "$DOCKER_HOST" --data-root "$WORK/data" --exec-root "$WORK/exec" --pidfile "$WORK/docker.pid" \
        --cgroup-parent "$(basename "$WORK")" >"$WORK/dockerd.log" 2>&1 &
    ENGINE_PID=$!
    until docker version >/dev/null 2>&1; do
        if ! kill -0 "$ENGINE_PID" 2>/dev/null || ((SECONDS > deadline)); then
            tail -n 20 "$WORK/dockerd.log" >&2
            fail 'the engine did not start; the end of its log is above.'
        fi
        sleep 0.2
    done
}

# Runs a command where the engine's networks are.
beside_engine() { nsenter --net="/proc/$(engine_child)/ns/net" "$@"; }

engine_child() { tr -d ' ' <"/proc/$ENGINE_PID/task/$ENGINE_PID/children"; }

# Makes an image of Debian: its name, where the root file system is kept or shall be, packages beside the smallest set.
import_root() {
    local image=$1 tar=$2 packages
    shift 2
    packages=$(IFS=, && printf '%s' "$*")
    if [[ ! -s $tar ]]; then
        if command -v mmdebstrap >/dev/null; then
            # In a mount namespace of its own: what a killed mmdebstrap has mounted goes with it.
            unshare --mount --propagation private mmdebstrap --mode=root --quiet --variant=minbase ${packages:+--include="$packages"} bookworm "$tar"
        else
            debootstrap --variant=minbase ${packages:+--include="$packages"} bookworm "$WORK/root" >/dev/null
            tar --one-file-system -C "$WORK/root" -cf "$tar" .
            rm -rf "$WORK/root"
        fi
    fi
    docker import - "$image" <"$tar" >/dev/null
}

stop_engine() {
    [[ -n $ENGINE_PID ]] || return 0
    # In order first, so that containers let go of their mounts; the namespaces do the rest.
    kill -TERM "$(engine_child)" 2>/dev/null || true
    local deadline=$((SECONDS + 20))
    while kill -0 "$ENGINE_PID" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.2; done
    kill -KILL "$ENGINE_PID" 2>/dev/null || true
    wait "$ENGINE_PID" 2>/dev/null || true
    ENGINE_PID=
    # Groups of processes outlive the processes. Deepest first; only those of this engine.
    find /sys/fs/cgroup -depth -type d -path "*/$(basename "$WORK")*" -exec rmdir {} + 2>/dev/null || true
}
