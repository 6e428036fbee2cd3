#!/usr/bin/env bash
# What the workflow "release" does, so that it can be tried without it.
#
#   release.sh version TAG          the version, if the tag, Cargo.toml, the chart and the changelog agree on it
#   release.sh pack TARGET DIR      the programs of target/release (EVERYPATH_BIN_DIR) as archives, the same bytes whenever they are made
#   release.sh sign DIR             the archives, with the key in UPDATE_SIGNING_KEY (base64), for the command `update`. Its public half
#                                   must be in protocol/update/release-keys.txt, or no program would believe the release
#   release.sh checksums DIR        SHA256SUMS
#   release.sh images DIR PREFIX    images of DIR/programs-PLATFORM/*.tar.gz, pushed to PREFIX and signed
#   release.sh chart DIR PREFIX     the chart with the images of PREFIX, pushed there and signed; EVERYPATH_DRY_RUN=1: only packaged
#   release.sh notes                what the changelog says of this version
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

CHART=$ROOT/deploy/helm/everypath
PROGRAMS=(aggregator mesh-agent)
VERSION=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")

check_version() {
    local tag=$1 of_chart
    [[ $tag == "v$VERSION" ]] || fail "the tag $tag is not v$VERSION, the version in Cargo.toml."
    of_chart=$(sed -n 's/^\(version\|appVersion\): "\?\([^"]*\)"\?$/\2/p' "$CHART/Chart.yaml" | sort -u)
    [[ $of_chart == "$VERSION" ]] || fail "the chart says ${of_chart//$'\n'/ and }, and not $VERSION."
    [[ -n $(notes) ]] || fail "CHANGELOG.md has no section for $VERSION."
    say "$VERSION"
}

notes() { awk -v version="$VERSION" '/^## / { inside = index($2, version) == 1 || index($2, "[" version "]") == 1; next } inside' "$ROOT/CHANGELOG.md"; }

unit_of() {
    case $1 in
        aggregator) printf 'everypath-aggregator.service' ;;
        mesh-agent) printf 'everypath-agent.service' ;;
    esac
}

pack() {
    local target=$1 out=$2 program stage
    mkdir -p "$out"
    for program in "${PROGRAMS[@]}"; do
        stage=$(mktemp -d)
        install -m 0755 --strip "${EVERYPATH_BIN_DIR:-$ROOT/target/release}/$program" "$stage/"
        install -m 0644 "$ROOT/deploy/systemd/$(unit_of "$program")" "$ROOT/deploy/systemd/everypath.sysusers" "$ROOT/LICENSE" "$ROOT/LICENSE-COMMERCIAL.md" "$ROOT/CHANGELOG.md" "$stage/"
        # Names, owners and times come from the commit and not from this machine.
        (cd "$stage" && tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git -C "$ROOT" log -1 --format=%ct)" -cf - -- *) |
            gzip --best --no-name >"$out/$program-$VERSION-$target.tar.gz"
        rm -rf -- "$stage"
    done
}

# A key of `zipsign gen-key` is 64 bytes, the last 32 of them the public half.
check_key() {
    local public
    [[ $(stat -c %s "$1") == 64 ]] || fail "UPDATE_SIGNING_KEY is not a key of 'zipsign gen-key' in base64."
    public=$(tail -c 32 "$1" | base64 --wrap=0)
    sed 's/[[:space:]]*#.*//' "$ROOT/protocol/update/release-keys.txt" | grep --quiet --line-regexp --fixed-strings "$public" ||
        fail "no program would take what this key signs: its public half, $public, is not in protocol/update/release-keys.txt."
}

sign() {
    local key archive
    [[ -n ${UPDATE_SIGNING_KEY:-} ]] || fail 'UPDATE_SIGNING_KEY is empty.'
    key=$(mktemp)
    # shellcheck disable=SC2064
    trap "rm -f -- '$key'" EXIT
    base64 --decode <<<"$UPDATE_SIGNING_KEY" >"$key"
    check_key "$key"
    # The context is the name of the file, which is what the programs expect.
    for archive in "$1"/*-"$VERSION"-*-linux-*.tar.gz; do zipsign sign tar "$archive" "$key"; done
}

checksums() { (cd "$1" && sha256sum -- *.tar.gz *.tgz >SHA256SUMS); }

# One image for each platform, which build.sh makes, and one name for them all. Prints nothing secret: the login is docker's.
images() {
    local packed=$1 prefix=$2 platform image program names digest
    for platform in amd64 arm64; do
        mkdir -p "$packed/bin-$platform"
        for program in "${PROGRAMS[@]}"; do
            tar -C "$packed/bin-$platform" -xzf "$packed/programs-$platform/$program-$VERSION"-*.tar.gz "$program"
        done
        EVERYPATH_IMAGE_PREFIX=$prefix "$ROOT/deploy/docker/build.sh" --programs "$packed/bin-$platform" --tag "$VERSION-$platform" --platform "linux/$platform"
    done
    for image in aggregator agent; do
        names=()
        for platform in amd64 arm64; do
            docker push --quiet "$prefix/$image:$VERSION-$platform"
            names+=("$prefix/$image:$VERSION-$platform")
        done
        docker buildx imagetools create --tag "$prefix/$image:$VERSION" "${names[@]}"
        digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$prefix/$image:$VERSION")
        cosign sign --yes --recursive "$prefix/$image@$digest"
    done
}

chart() {
    local out=$1 prefix=$2 stage digest
    stage=$(mktemp -d)
    cp -r "$CHART" "$stage/everypath"
    # Who installs the chart of a release gets the images of that release.
    sed -i "s#repository: everypath/#repository: $prefix/#" "$stage/everypath/values.yaml"
    mkdir -p "$out"
    helm package "$stage/everypath" --destination "$out"
    rm -rf -- "$stage"
    [[ ${EVERYPATH_DRY_RUN:-} != 1 ]] || return 0
    digest=$(helm push "$out/everypath-$VERSION.tgz" "oci://$prefix/charts" 2>&1 | sed -n 's/^Digest: //p')
    [[ -n $digest ]] || fail 'the chart was not pushed.'
    cosign sign --yes "$prefix/charts/everypath@$digest"
}

case ${1:-} in
    version) check_version "${2:?a tag is missing}" ;;
    pack) pack "${2:?a target is missing}" "${3:?a directory is missing}" ;;
    sign) sign "${2:?a directory is missing}" ;;
    checksums) checksums "${2:?a directory is missing}" ;;
    images) images "${2:?a directory is missing}" "${3:?a prefix is missing}" ;;
    chart) chart "${2:?a directory is missing}" "${3:?a prefix is missing}" ;;
    notes) notes ;;
    *) fail 'the beginning of this file says what there is.' ;;
esac
