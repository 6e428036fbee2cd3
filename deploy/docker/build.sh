#!/usr/bin/env bash
# Builds the images everypath/aggregator and everypath/agent with the Docker engine that `docker` finds.
#
#   deploy/docker/build.sh                     compile inside images of Rust and Node
#   deploy/docker/build.sh --programs DIR      take the programs `aggregator` and `mesh-agent` from DIR
#   deploy/docker/build.sh --tag 0.1.0         another tag than "latest"
#   deploy/docker/build.sh --platform P        for another platform, such as linux/arm64; needs --programs, of that platform
#
#   EVERYPATH_IMAGE_PREFIX                     what the names begin with (everypath)
#   NODE, RUST, BASE                           other base images than those that the Dockerfiles name
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

PREFIX=${EVERYPATH_IMAGE_PREFIX:-everypath}
TAG=latest
PROGRAMS=
PLATFORM=
SCRATCH=
# In words here; the Dockerfiles are where these defaults are used.
BASE_USED=${BASE:-debian:bookworm-slim}

read_arguments() {
    while (($# > 0)); do
        case $1 in
            --programs) PROGRAMS=${2:?--programs needs a directory} ;;
            --tag) TAG=${2:?--tag needs a word} ;;
            --platform) PLATFORM=${2:?--platform needs a word} ;;
            *) fail "there is no argument '$1'; the beginning of this file says which there are." ;;
        esac
        shift 2
    done
    if [[ -n $PLATFORM && -z $PROGRAMS ]]; then fail '--platform needs --programs: nothing is compiled for another platform.'; fi
}

# All that is missing, at once, before anything is built.
check() {
    local missing=() program
    if ! command -v docker >/dev/null; then
        fail "there is no command docker. Install Docker (on Debian: docker.io) and start it."
    fi
    if ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
        fail "no Docker engine answers: $(docker version 2>&1 | tail -n 1)"
    fi
    if [[ -n $PROGRAMS ]]; then
        for program in aggregator mesh-agent; do
            if [[ ! -x $PROGRAMS/$program ]]; then missing+=("the program $PROGRAMS/$program (cargo build --release --locked -p $program)"); fi
        done
        if [[ ! -s /etc/ssl/certs/ca-certificates.crt ]]; then missing+=("/etc/ssl/certs/ca-certificates.crt (package ca-certificates)"); fi
        # BuildKit asks the registry for a base even when it has it, unless the registry does not answer; say it beforehand.
        # That of another platform is the build's business.
        if [[ -z $PLATFORM ]] && ! docker image inspect "$BASE_USED" >/dev/null 2>&1 && ! docker pull --quiet "$BASE_USED" >/dev/null 2>&1; then
            missing+=("the image $BASE_USED (it can neither be found here nor be pulled; BASE names another)")
        fi
    fi
    ((${#missing[@]} == 0)) || fail "missing: $(printf '%s; ' "${missing[@]}")"
}

# What the stage "prebuilt" expects: bin/, certificates/, data/.
lay_out() {
    mkdir -p "$SCRATCH/$1/bin" "$SCRATCH/$1/certificates" "$SCRATCH/$1/data"
    install -m 0755 "$PROGRAMS/$1" "$SCRATCH/$1/bin/"
    # Where there is no strip, or one that does not know that platform, the image is larger.
    strip "$SCRATCH/$1/bin/$1" 2>/dev/null || true
    install -m 0644 /etc/ssl/certs/ca-certificates.crt "$SCRATCH/$1/certificates/"
}

build() {
    local image=$1 program=$2 context=$ROOT arguments=(
        --build-arg "VERSION=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")"
        --build-arg "REVISION=$(git -C "$ROOT" rev-parse HEAD 2>/dev/null || printf unknown)"
    )
    local name
    for name in NODE RUST BASE; do
        if [[ $image == agent && $name == NODE ]]; then continue; fi
        if [[ -n ${!name:-} ]]; then arguments+=(--build-arg "$name=${!name}"); fi
    done
    if [[ -n $PLATFORM ]]; then arguments+=(--platform "$PLATFORM"); fi
    if [[ -n $PROGRAMS ]]; then
        lay_out "$program"
        context=$SCRATCH/$program
        arguments+=(--build-arg PROGRAMS=prebuilt)
    fi
    # BuildKit leaves out the stages that are not asked for; the older builder would compile all the same.
    DOCKER_BUILDKIT=1 docker build --file "$ROOT/deploy/docker/$image.Dockerfile" --tag "$PREFIX/$image:$TAG" \
        "${arguments[@]}" "$context"
    say "Built $PREFIX/$image:$TAG"
}

read_arguments "$@"
check
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/everypath-images.XXXXXX")
trap 'rm -rf -- "$SCRATCH"' EXIT
build aggregator aggregator
build agent mesh-agent
