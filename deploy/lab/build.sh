# shellcheck shell=bash
# Builds the lab and takes it down.

require_root() {
    if ((EUID != 0)); then
        fail "network namespaces need root, and this is user $(id -un). Run it with sudo, or use 'make demo', which without root falls back to agents on loopback."
    fi
}

require_tools() {
    local missing=()
    command -v ip >/dev/null || missing+=(iproute2)
    command -v nft >/dev/null || missing+=(nftables)
    command -v sysctl >/dev/null || missing+=(procps)
    command -v flock >/dev/null || missing+=(util-linux)
    ((${#missing[@]} > 0)) || return 0
    if command -v apt-get >/dev/null; then
        printf 'lab: installing %s\n' "${missing[*]}" >&2
        if { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } >&2; then return 0; fi
        fail "apt-get could not install ${missing[*]}; its lines above say why. Install them by hand and start again."
    fi
    fail "the packages ${missing[*]} are missing and there is no apt-get. Install them (names as in Debian) and start again."
}

# The lab never takes over what has one of its names: only its own notes say what is its own.
refuse_names_that_are_taken() {
    local namespace
    for namespace in $(namespaces); do
        if namespace_exists "$namespace"; then
            fail "the network namespace $namespace exists, and $STATE does not say that a lab made it. It is left alone. Remove it with 'ip netns delete $namespace' if it is yours, or set EVERYPATH_LAB_ID to another number."
        fi
    done
    if link_exists "$UPLINK"; then
        fail "the network interface $UPLINK exists, and $STATE does not say that a lab made it. It is left alone. Remove it with 'ip link delete $UPLINK' if it is yours, or set EVERYPATH_LAB_ID to another number."
    fi
}

refuse_range_that_is_taken() {
    local route
    # Routes into the range, and wider ones that cover it; the default route covers everything and does not count.
    route=$({
        ip -4 route show table all root "$RANGE"
        ip -4 route show table all match "$RANGE"
    } | awk '$1 != "default" && !seen[$0]++' | head -n 1)
    if [[ -n $route ]]; then
        fail "this machine already has a route into $RANGE: '$route'. The lab would hide that network, so it is not built. Set EVERYPATH_LAB_NETWORK to a free range, such as EVERYPATH_LAB_NETWORK=172.30."
    fi
}

make_namespace() {
    local namespace=$1
    remember namespace "$namespace"
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
}

set_in() {
    local namespace=$1
    shift
    ip netns exec "$namespace" sysctl -qw "$@"
}

make_router() {
    make_namespace "$1"
    # icmp_ratelimit: by default a router answers six traceroute packets and then one a second, which looks like a broken path.
    # fib_multipath_hash_policy: choose among equal paths by ports too. icmp_errors_use_inbound_ifaddr: answer with the address
    # that the packet came in on, or a trace shows links that were never taken.
    set_in "$1" net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_errors_use_inbound_ifaddr=1
}

make_host() {
    local host=$1 namespace router gateway
    namespace=$(namespace_of "$host")
    router=$(namespace_of "$(site_of "$host")")
    gateway=$NETWORK.$(site_number "$(site_of "$host")").1
    make_namespace "$namespace"
    # Pings without privilege, which most kernels do not allow in a new namespace.
    set_in "$namespace" net.ipv4.ping_group_range="0 2147483647"
    ip link add eth0 netns "$namespace" type veth peer name "$host" netns "$router"
    # The router has the gateway's address on each of its cables and one route a host, so no two hosts share a segment.
    ip -n "$router" address add "$gateway/32" dev "$host"
    ip -n "$router" link set "$host" up
    ip -n "$router" route add "$(address_of "$host")/32" dev "$host"
    ip -n "$namespace" address add "$(address_of "$host")/32" dev eth0
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" route add "$gateway/32" dev eth0 scope link
    ip -n "$namespace" route add default via "$gateway"
}

make_site() {
    local site=$1 number router host_number
    number=$(site_number "$site")
    router=$(namespace_of "$site")
    make_router "$router"
    ip link add core netns "$router" type veth peer name "$site" netns "$CORE"
    ip -n "$CORE" address add "$NETWORK.100.$((4 * number + 1))/30" dev "$site"
    ip -n "$CORE" link set "$site" up
    ip -n "$router" address add "$NETWORK.100.$((4 * number + 2))/30" dev core
    ip -n "$router" link set core up
    ip -n "$router" route add default via "$NETWORK.100.$((4 * number + 1))"
    ip -n "$CORE" route add "$(range_of "$site")" via "$NETWORK.100.$((4 * number + 2))"
    for ((host_number = 1; host_number <= HOSTS_PER_SITE; host_number++)); do make_host "$site-$host_number"; done
}

# The core has no default route: no packet of the lab can leave the machine, whatever the machine forwards.
make_uplink() {
    remember link "$UPLINK"
    ip link add "$UPLINK" type veth peer name uplink netns "$CORE"
    ip -n "$CORE" address add "$CORE_ADDRESS/30" dev uplink
    ip -n "$CORE" link set uplink up
    ip address add "$AGGREGATOR_ADDRESS/30" dev "$UPLINK"
    ip link set "$UPLINK" up
    ip route add "$RANGE" via "$CORE_ADDRESS" dev "$UPLINK"
}

undo_unfinished_up() {
    local status=$?
    # A second Ctrl-C must not stop the tidying.
    trap '' INT TERM HUP
    trap - EXIT
    if is_marked && ! is_complete; then
        if ((status >= 128)); then
            printf 'lab: interrupted; removing what was built so far.\n' >&2
        else
            printf 'lab: the step above failed, so the lab is not built; removing what there was of it. If it says "not permitted", this is a container that may not make network namespaces: use the machine itself.\n' >&2
        fi
        remove_made "$STATE" || status=1
    fi
    forget_state "$STATE"
    exit "$status"
}

record_owner() {
    local start
    [[ -n ${EVERYPATH_LAB_OWNER:-} ]] || return 0
    start=$(start_time_of "$EVERYPATH_LAB_OWNER") || fail "EVERYPATH_LAB_OWNER names process $EVERYPATH_LAB_OWNER, but there is none."
    printf '%d %s\n' "$EVERYPATH_LAB_OWNER" "$start" >"$STATE/owner"
}

say_who_has_it() {
    local whose="it was started by hand" pid
    if [[ -s $STATE/owner ]]; then
        read -r pid _ <"$STATE/owner"
        whose="it belongs to process $pid ($(describe_process "$pid"))"
    fi
    busy "lab $LAB_ID is already up since $(cat "$STATE/since"); $whose. Use it, take it down with 'lab down', or set EVERYPATH_LAB_ID=$(((LAB_ID + 1) % 100)) for a lab of your own."
}

lab_up() {
    local site
    require_root
    require_tools
    lock_or_fail
    remove_ruins
    if is_ruin "$STATE"; then
        printf 'lab: removing what was left of a lab that was killed.\n' >&2
        remove_made "$STATE" || fail "the rest of the old lab could not be removed; the lines above say why."
    fi
    if is_complete; then say_who_has_it; fi
    trap undo_unfinished_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    refuse_names_that_are_taken
    refuse_range_that_is_taken
    printf '%s\n' "$NETWORK" >"$STATE/network"
    record_owner
    make_router "$CORE"
    for site in "${SITES[@]}"; do make_site "$site"; done
    make_uplink
    date '+%F %T' >"$STATE/since"
    : >"$STATE/complete"
    trap - EXIT INT TERM HUP
    printf 'lab %d is up: %d sites with %d hosts each in %s, the aggregator'\''s address is %s.\n' \
        "$LAB_ID" "${#SITES[@]}" "$HOSTS_PER_SITE" "$RANGE" "$AGGREGATOR_ADDRESS"
}

lab_down() {
    require_root
    require_tools
    lock_or_fail
    trap '' INT TERM HUP
    remove_ruins
    if is_marked; then
        remove_made "$STATE" || fail "lab $LAB_ID could not be removed completely; the lines above say why. What is left is listed in $STATE/made: run 'lab down' again."
        printf 'lab %d is down; nothing of it is left.\n' "$LAB_ID"
    else
        (refuse_names_that_are_taken) || {
            forget_state "$STATE"
            exit 1
        }
        printf 'lab %d is not up: nothing to take down.\n' "$LAB_ID"
    fi
    forget_state "$STATE"
}
