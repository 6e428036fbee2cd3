# shellcheck shell=bash
# Breaks paths and mends them: rules of nftables in the routers, in a table of our own.
#
# The list in <state>/breaks is the truth (FROM TO PERMILLE, one direction a line) and every change writes the whole table of
# every router anew in one transaction, so that saying a thing twice does it once.

require_up() {
    if ! is_complete; then
        fail "lab $LAB_ID is not up. Build it with 'lab up'.$(other_labs)"
    fi
}

other_labs() {
    local directory found=()
    for directory in "$STATE_ROOT"/*/; do
        if [[ -e $directory/complete ]]; then found+=("$(basename "$directory")"); fi
    done
    if ((${#found[@]} > 0)); then
        printf ' Up now: %s; choose with EVERYPATH_LAB_ID.' "${found[*]}"
    fi
}

require_pair() {
    require_place "$1"
    require_place "$2"
    if [[ $1 == "$2" ]] && ! is_site "$1"; then
        fail "'$1' and '$2' are one place: there is no path between them to break. (A site with itself is possible: all paths between its hosts.)"
    fi
}

# The rules of one router, as a whole table. Deleting a table that is not there is an error, so it is created first.
rules_for() {
    local router=$1 from to permille
    printf 'table inet everypath\ndelete table inet everypath\n'
    [[ -s $STATE/breaks ]] || return 0
    printf 'table inet everypath {\n    chain broken {\n        type filter hook forward priority 0; policy accept;\n'
    while read -r from to permille; do
        if [[ $(first_router_of "$from") != "$router" ]]; then continue; fi
        printf '        ip saddr %s ip daddr %s ' "$(range_of "$from")" "$(range_of "$to")"
        if ((permille < 1000)); then printf 'numgen random mod 1000 < %d ' "$permille"; fi
        printf 'counter drop\n'
    done <"$STATE/breaks"
    printf '    }\n}\n'
}

apply_breaks() {
    local router
    for router in $(routers); do
        if ! rules_for "$router" | ip netns exec "$router" nft -f -; then
            fail "nftables refused the rules for $router; its message is above. 'lab heal' clears all rules."
        fi
    done
}

# Takes both directions of a pair out of the list: the last word about a pair is the one that counts.
forget_pair() {
    touch "$STATE/breaks"
    awk -v a="$1" -v b="$2" '!(($1 == a && $2 == b) || ($1 == b && $2 == a))' "$STATE/breaks" >"$STATE/breaks.new"
    mv "$STATE/breaks.new" "$STATE/breaks"
}

add_break() { printf '%s %s %d\n' "$1" "$2" "$3" >>"$STATE/breaks"; }

begin_change() {
    require_root
    require_tools
    lock_or_fail
    require_up
}

lab_cut() {
    require_pair "$1" "$2"
    begin_change
    forget_pair "$1" "$2"
    add_break "$1" "$2" 1000
    if [[ $1 != "$2" ]]; then add_break "$2" "$1" 1000; fi
    apply_breaks
    printf '%s and %s are cut: nothing passes, in neither direction.\n' "$1" "$2"
}

lab_oneway() {
    require_pair "$1" "$2"
    if [[ $1 == "$2" ]]; then fail "a site with itself has no direction: use 'lab cut $1 $2'."; fi
    begin_change
    forget_pair "$1" "$2"
    add_break "$1" "$2" 1000
    apply_breaks
    printf 'Packets from %s to %s are lost; those from %s to %s pass.\n' "$1" "$2" "$2" "$1"
}

lab_loss() {
    local permille
    require_pair "$1" "$2"
    if ! [[ $3 =~ ^([0-9]{1,3})(\.([0-9]))?%?$ ]]; then
        fail "'$3' is not a share of loss. Give a percentage from 0 to 100, with at most one decimal."
    fi
    permille=$((10#${BASH_REMATCH[1]} * 10 + 10#${BASH_REMATCH[3]:-0}))
    if ((permille > 1000)); then fail "$3 % cannot be lost: 100 is the most there is."; fi
    begin_change
    forget_pair "$1" "$2"
    if ((permille > 0)); then
        add_break "$1" "$2" "$permille"
        if [[ $1 != "$2" ]]; then add_break "$2" "$1" "$permille"; fi
    fi
    apply_breaks
    printf '%d.%d %% of the packets between %s and %s are lost, in each direction.\n' $((permille / 10)) $((permille % 10)) "$1" "$2"
}

lab_heal() {
    begin_change
    rm -f "$STATE/breaks"
    apply_breaks
    printf 'Everything is healed: nothing is broken any more.\n'
}

describe_breaks() {
    local from to permille reverse
    if [[ ! -s $STATE/breaks ]]; then
        printf 'Broken: nothing.\n'
        return 0
    fi
    printf 'Broken:\n'
    while read -r from to permille; do
        reverse=$(awk -v a="$to" -v b="$from" '$1 == a && $2 == b { print $3 }' "$STATE/breaks")
        if [[ $from == "$to" || $reverse == "$permille" ]]; then
            # Both directions are in the list: tell of the pair once.
            if [[ $from > $to ]]; then continue; fi
            if [[ $from == "$to" ]]; then
                printf '  inside %s: ' "$from"
            else
                printf '  between %s and %s, both directions: ' "$from" "$to"
            fi
        else
            printf '  from %s to %s (the reverse lives): ' "$from" "$to"
        fi
        if ((permille == 1000)); then printf 'cut\n'; else printf '%d.%d %% lost each way\n' $((permille / 10)) $((permille % 10)); fi
    done <"$STATE/breaks"
}
