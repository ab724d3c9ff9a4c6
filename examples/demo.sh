#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Deploy the example application on the engine of this machine and look at it through a reverse proxy.
#
#   demo.sh          deploy and look
#   demo.sh clean    remove all of it, data included
set -euo pipefail
cd "$(dirname "$0")/.."

url=http://localhost:8080
log=/opt/demo/build.log

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

proxy() { PROXY_NETWORK=demo-proxy docker compose --project-name demo-proxy --file examples/proxy/compose.yml "$@"; }

clean() {
    proxy down --remove-orphans
    if [ -f /opt/demo/compose.yml ]; then
        as_root docker compose --file /opt/demo/compose.yml down --volumes --remove-orphans
    fi
    docker network rm demo-proxy >/dev/null 2>&1 || echo "The network demo-proxy is gone already, or something else uses it."
    docker images --format '{{.Repository}}:{{.Tag}}' demo-app | xargs --no-run-if-empty docker rmi >/dev/null
    as_root rm -rf /opt/demo
    echo "The demo is gone. What it was built with stays: .venv, .cache, the base images, and the engine (make engine-stop)."
}

phase() {
    [ -z "${phase_name:-}" ] || phases+=("$phase_name $((SECONDS - phase_start)) s")
    phase_name="$1" phase_start=$SECONDS
    [ -z "$1" ] || printf '\n== %s\n' "$1"
}

# Show the steps of the build while Ansible waits for it.
follow_build() {
    as_root rm -f "$log"
    as_root tail --follow=name --retry --lines=+1 "$log" 2>/dev/null |
        sed --unbuffered --regexp-extended --quiet \
            '/^#[0-9]+ (\[|DONE [1-9]|[0-9.]+ .*(added|Compiled|Generating static))/ { s/^(.{100}).+/\1…/; p }' &
}

[ "${1:-}" != clean ] || { clean; exit; }

phases=()
phase "base image"
BASE_IMAGE="$(tests/support/base_image.sh)"
export BASE_IMAGE
phase "proxy image"
PROXY_IMAGE="$(tests/support/proxy_image.sh)"
export PROXY_IMAGE
phase "deploy"
follow_build
follower=$!
trap 'kill "$follower" 2>/dev/null || true' EXIT
ansible-playbook playbooks/deploy.yml -i inventories/demo
phase "reverse proxy"
proxy up --detach
phase "request through the proxy"
health="$(curl --silent --show-error --fail --retry 20 --retry-delay 1 --retry-all-errors "$url/api/health")"
phase ""

cat <<END

GET $url/api/health
$health

$(docker ps --filter network=demo-proxy --format 'table {{.Names}}\t{{.Status}}\t{{.Image}}')

Seconds:  $(printf '%s, ' "${phases[@]}")$SECONDS s in all
Site:     $url
Admin:    $url/admin (the first visit creates the administrator)
Logs:     docker logs --follow demo-app
Files:    /opt/demo (compose.yml, .env.production, build.log)
Change something in examples/payload-app and run make demo again; make demo-clean removes everything.
Next:     README.md, then docs/ to deploy your own application.
END
