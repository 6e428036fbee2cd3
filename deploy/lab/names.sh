# shellcheck shell=bash
# shellcheck disable=SC2034  # names that the other files use
# What the lab is made of: its names and addresses, and nothing that changes the machine.
#
#   alpha-1 ─┐
#   alpha-2 ─┼─ alpha ─┐                  Every host has a cable of its own to the router of its site, so that packets
#   alpha-3 ─┘         │                  between two hosts of one site cross that router too and can be lost there.
#   beta-1 … ── beta ──┼── core ── (uplink) ── aggregator, in the namespace that the command was started in
#   gamma-1 … ─ gamma ─┘

SITES=(alpha beta gamma)
HOSTS_PER_SITE=3

fail() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

# Exit code 3 means "somebody else has it", so that a caller can pick another lab number and try again.
busy() {
    printf 'lab: %s\n' "$*" >&2
    exit 3
}

LAB_ID=${EVERYPATH_LAB_ID:-0}
if ! [[ $LAB_ID =~ ^[0-9]{1,2}$ ]]; then
    fail "EVERYPATH_LAB_ID is '$LAB_ID', but must be a number from 0 to 99."
fi
LAB_ID=$((10#$LAB_ID))

# Labs of different numbers differ in every name and in their range, so that they can stand side by side.
PREFIX=everypath
if ((LAB_ID > 0)); then PREFIX=everypath$LAB_ID; fi
# Linux allows 15 characters in the name of an interface: everypath99-up fits.
UPLINK=$PREFIX-up
CORE=$PREFIX-core

use_network() {
    NETWORK=$1
    RANGE=$NETWORK.0.0/16
    AGGREGATOR_ADDRESS=$NETWORK.0.1
    CORE_ADDRESS=$NETWORK.0.2
}
use_network "${EVERYPATH_LAB_NETWORK:-10.$((83 + LAB_ID))}"
if ! [[ $NETWORK =~ ^([0-9]{1,3})\.([0-9]{1,3})$ ]] || ((10#${BASH_REMATCH[1]} > 223 || 10#${BASH_REMATCH[2]} > 255)); then
    fail "EVERYPATH_LAB_NETWORK is '$NETWORK', but must be the first two numbers of a range, such as 10.83 or 172.30."
fi

hosts() {
    local site number
    for site in "${SITES[@]}"; do
        for ((number = 1; number <= HOSTS_PER_SITE; number++)); do
            printf '%s-%d\n' "$site" "$number"
        done
    done
}

# 1 for alpha, 2 for beta …; nothing and a failure for what is no site.
site_number() {
    local index
    for index in "${!SITES[@]}"; do
        if [[ ${SITES[index]} == "$1" ]]; then
            printf '%d\n' $((index + 1))
            return 0
        fi
    done
    return 1
}

is_host() {
    local host
    for host in $(hosts); do
        if [[ $host == "$1" ]]; then return 0; fi
    done
    return 1
}

is_site() { site_number "$1" >/dev/null; }

known_names() {
    printf '%s, %s or aggregator' "$(hosts | paste -sd ' ')" "${SITES[*]}"
}

require_place() {
    if [[ $1 != aggregator ]] && ! is_host "$1" && ! is_site "$1"; then
        fail "'$1' is not in this lab. Name one of: $(known_names)."
    fi
}

require_host() {
    if ! is_host "$1"; then
        fail "'$1' is not a host of this lab. Name one of: $(hosts | paste -sd ' ')."
    fi
}

site_of() { printf '%s\n' "${1%-*}"; }

address_of() {
    if [[ $1 == aggregator ]]; then
        printf '%s\n' "$AGGREGATOR_ADDRESS"
    else
        printf '%s.%d.%d\n' "$NETWORK" "$(site_number "$(site_of "$1")")" $((10 + ${1##*-}))
    fi
}

# What nftables matches: one address, or the range of a site.
range_of() {
    if is_site "$1"; then
        printf '%s.%d.0/24\n' "$NETWORK" "$(site_number "$1")"
    else
        address_of "$1"
    fi
}

namespace_of() { printf '%s-%s\n' "$PREFIX" "$1"; }

# The router that a packet from this place meets first. A break is put there and nowhere else: a packet passes up to three
# routers, and 10 % of loss in each of them would be 27 %.
first_router_of() {
    if [[ $1 == aggregator ]]; then
        printf '%s\n' "$CORE"
    elif is_site "$1"; then
        namespace_of "$1"
    else
        namespace_of "$(site_of "$1")"
    fi
}

routers() {
    local site
    printf '%s\n' "$CORE"
    for site in "${SITES[@]}"; do namespace_of "$site"; done
}

namespaces() {
    local host
    routers
    for host in $(hosts); do namespace_of "$host"; done
}
