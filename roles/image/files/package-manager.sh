#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The package manager of the application, in a build:
#
#   package-manager setup        get the version that the application wants
#   package-manager install      install the dependencies that its lockfile names
#   package-manager run SCRIPT   run a script of package.json
#
# PACKAGE_MANAGER is npm, pnpm, yarn or bun; PACKAGE what npm gets it from, empty when it is there; INTEGRITY its hash, as
# sha512.0123…; PROGRAM a file of the sources that is it. What they download is kept in /cache.
set -eu

home=/opt/package-manager
PATH="$home/bin:$PATH"
export npm_config_cache=/cache/npm npm_config_update_notifier=false YARN_CACHE_FOLDER=/cache/yarn1 YARN_GLOBAL_FOLDER=/cache/yarn \
    BUN_INSTALL_CACHE_DIR=/cache/bun
# Yarn would make files that Next.js cannot trace, and pnpm would leave out what packages such as Payload have Next.js require on
# behalf of the application. It would also look whether all is installed, and download its own version; since pnpm 11 it would
# refuse a frozen lockfile that does not name that version.
export YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0 npm_config_verify_deps_before_run=false \
    pnpm_config_verify_deps_before_run=false npm_config_manage_package_manager_versions=false pnpm_config_pm_on_fail=ignore \
    npm_config_shamefully_hoist=true pnpm_config_shamefully_hoist=true
if [ -s /run/secrets/build_ca ]; then
    export NODE_EXTRA_CA_CERTS=/run/secrets/build_ca
fi

manager() {
    if [ -n "$PROGRAM" ]; then
        node "/app/$PROGRAM" "$@"
    else
        "$PACKAGE_MANAGER" "$@"
    fi
}

# Corepack takes the hash of the package, of Yarn 2 and newer that of the program in it.
check() {
    [ -n "$INTEGRITY" ] || return 0
    # shellcheck disable=SC2016 # it is JavaScript
    node -e '
        const [file, integrity, wanted] = process.argv.slice(1)
        const [algorithm, hash] = integrity.split(".")
        const found = require("crypto").createHash(algorithm).update(require("fs").readFileSync(file)).digest("hex")
        if (found !== hash) {
            console.error(`refused before anything is installed: ${wanted} has the ${algorithm} ${found}, and packageManager in ` +
                `package.json wants ${hash}; if nobody has tampered with the registry, correct it there`)
            process.exit(1)
        }' "$1" "$INTEGRITY" "$PACKAGE"
}

setup() {
    [ -n "$PACKAGE" ] || return 0
    cd "$(mktemp -d)"
    npm pack --silent "$PACKAGE" >/dev/null
    set -- *.tgz
    case "$PACKAGE" in @yarnpkg/*) ;; *) check "$1" ;; esac
    npm install --global --prefix "$home" --no-audit --no-fund "./$1"
    case "$PACKAGE" in @yarnpkg/*) check "$home/lib/node_modules/@yarnpkg/cli-dist/bin/yarn.js" ;; esac
    rm -r "$PWD"
}

# With the dependencies for development, whatever the base image says.
install() {
    unset NODE_ENV
    echo "$PACKAGE_MANAGER $(manager --version)"
    case "$PACKAGE_MANAGER" in
        npm) npm ci --include=dev --no-audit --no-fund ;;
        pnpm) pnpm install --frozen-lockfile --store-dir /cache/pnpm ;;
        bun) bun install --frozen-lockfile ${NODE_EXTRA_CA_CERTS:+--cafile "$NODE_EXTRA_CA_CERTS"} ;;
        yarn)
            if grep -q '^__metadata:' yarn.lock; then
                manager install --immutable
            else
                yarn install --frozen-lockfile --non-interactive
            fi
            ;;
    esac
}

# Forms that are open in browsers were made by a build before, so all builds need the same key.
build() {
    if [ -s /run/secrets/server_actions_key ]; then
        NEXT_SERVER_ACTIONS_ENCRYPTION_KEY=$(cat /run/secrets/server_actions_key)
        export NEXT_SERVER_ACTIONS_ENCRYPTION_KEY
    fi
    manager run "$1"
}

case "$1" in
    setup) setup ;;
    install) install ;;
    run) build "$2" ;;
esac
