#!/usr/bin/env bash
# `make web`: builds the web pages if their sources are younger than what was built.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

build_web
say "The pages are in web/dist."
