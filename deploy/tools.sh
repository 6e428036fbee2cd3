# shellcheck shell=bash
# What demo.sh and test.sh share: missing tools, and building. Expects ROOT, the top of the repository.

# A root shell by plain `su` keeps the path of a user, who does not see the tools of an administrator.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    exit 1
}

# Installs Debian packages as root; otherwise says which are missing. Arguments: what they are for, then COMMAND:PACKAGE …
require_packages() {
    local purpose=$1 pair missing=()
    shift
    for pair in "$@"; do
        if ! command -v "${pair%%:*}" >/dev/null; then missing+=("${pair#*:}"); fi
    done
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)); then
        fail "$purpose needs the packages ${missing[*]} (names as in Debian), and only root may install them. Install them, or run this as root."
    fi
    if ! command -v apt-get >/dev/null; then
        fail "$purpose needs the packages ${missing[*]} (names as in Debian), and this machine has no apt-get. Install what your system calls them."
    fi
    say "Installing ${missing[*]} for $purpose."
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } >&2; then
        fail "apt-get could not install ${missing[*]}, which $purpose needs; its lines above say why. Install them by hand and start again."
    fi
}

require_rust() {
    # A root shell by sudo has another PATH than the user who installed Rust.
    if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then PATH=$HOME/.cargo/bin:$PATH; fi
    if ! command -v cargo >/dev/null; then
        fail "cargo is not on the PATH. Install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml") or newer with rustup; under sudo, keep your PATH: sudo env \"PATH=\$PATH\" make …"
    fi
    require_packages 'building the C parts of our dependencies' cc:gcc c++:g++ make:make
}

require_node() {
    local version
    version=$(node --version 2>/dev/null || printf none)
    if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then
        fail "building the web pages needs Node.js 20.19 or newer with npm; found: $version. Install it and start again."
    fi
    command -v npm >/dev/null || fail "npm is missing beside Node.js $version. Install it and start again."
}

# True when the pages were never built or one of their sources is younger.
web_is_stale() {
    local web=$ROOT/web
    [[ -s $web/dist/index.html ]] || return 0
    [[ -n $(find "$web" -path "$web/node_modules" -prune -o -path "$web/dist" -prune -o -type f -newer "$web/dist/index.html" -print -quit) ]]
}

install_web_packages() {
    local web=$ROOT/web
    if [[ ! -e $web/node_modules/.package-lock.json || $web/package-lock.json -nt $web/node_modules/.package-lock.json ]]; then
        (cd "$web" && npm ci --no-audit --no-fund)
    fi
}

build_web() {
    if ! web_is_stale; then return 0; fi
    require_node
    install_web_packages
    (cd "$ROOT/web" && npm run build)
}

# Sets BIN_DIR. EVERYPATH_BIN_DIR names programs that are built already. $1, if it is not empty: a package beside the two that
# everybody needs.
build_programs() {
    local packages=(aggregator mesh-agent)
    if [[ -n ${1:-} ]]; then packages+=("$1"); fi
    if [[ -n ${EVERYPATH_BIN_DIR:-} ]]; then
        BIN_DIR=$EVERYPATH_BIN_DIR
    else
        build_web
        require_rust
        local profile=${EVERYPATH_PROFILE:-dev} folder
        folder=$profile
        if [[ $profile == dev ]]; then folder=debug; fi
        (cd "$ROOT" && cargo build --locked --profile "$profile" "${packages[@]/#/-p=}")
        BIN_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/$folder
    fi
    local program
    for program in "${packages[@]}"; do
        if [[ ! -x $BIN_DIR/$program ]]; then fail "there is no program $BIN_DIR/$program. Build it with 'cargo build --locked', or let EVERYPATH_BIN_DIR name the directory that has it."; fi
    done
}
