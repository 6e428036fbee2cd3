#!/usr/bin/env bash
# `make fmt`: formats Rust, web pages and end-to-end tests.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
cd "$ROOT"

require_rust
require_node
install_web_packages
cargo fmt --all
(cd web && npm run --silent fmt)
web/node_modules/.bin/prettier --config e2e/.prettierrc --write 'e2e/**/*.mjs' 'deploy/*.mjs'
