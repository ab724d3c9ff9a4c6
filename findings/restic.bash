# SPDX-License-Identifier: GPL-3.0-or-later
#
# For the scripts beside it: restic 0.18.0 and rest-server 0.13.0 of Debian 13 in a temporary folder, and nothing installed.
set -euo pipefail

work="$(mktemp -d)"
trap 'jobs -p | xargs --no-run-if-empty kill; rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial archives/partial
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie main" >sources
options=(-q -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
    -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update >/dev/null
apt-get "${options[@]}" download restic=0.18.0-1+b4 restic-rest-server=0.13.0-2 >/dev/null
for package in ./*.deb; do dpkg -x "$package" .; done
export PATH="$work/usr/bin:$PATH" RESTIC_PASSWORD=example XDG_CACHE_HOME="$work/cache"
restic version
