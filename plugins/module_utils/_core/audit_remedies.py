# SPDX-License-Identifier: GPL-3.0-or-later
"""What fixes a finding of the audit, by the id of its rule."""

from __future__ import annotations

from typing import Mapping

from .remedies import play, setting

_DEPLOY = f"{play('deploy')} recreates the container"
_THEIRS = "Whoever runs these containers has to change them"
_CONFIG = f"{setting('engine_config')}, then {play('setup')}"
_WHOLE = f"Take it out of {setting('hardening_off')}, then {play('deploy')}."
_SSH = "in a file below /etc/ssh/sshd_config.d, then: systemctl reload ssh"

REMEDIES: Mapping[str, str] = {
    "app-privileged": f"{_DEPLOY}, without that.",
    "app-docker-socket": f"{_DEPLOY}, without that mount.",
    "app-user": "Let the image start as another user, or have its entrypoint become one (PUID and PGID do, in ours).",
    "app-host-namespaces": f"{_DEPLOY}, without that.",
    "app-host-mounts": f"{_DEPLOY}, without those mounts; named volumes hold its data.",
    "app-published-ports": f"{_DEPLOY}, without published ports.",
    "app-confinement": f"{_DEPLOY}, without those options.",
    "app-capabilities": f"{_WHOLE} {setting('capabilities')} adds single ones.",
    "app-effective-capabilities": "Let its processes run as another user than root.",
    "app-no-new-privileges": _WHOLE,
    "app-devices": f"{_DEPLOY}, without devices.",
    "app-memory-limit": f"{_DEPLOY}, with {setting('memory_limit')}.",
    "app-pids-limit": f"{_WHOLE} {setting('pids_limit')} is the number.",
    "app-restart": f"{setting('restart_policy', 'unless-stopped')}, then {play('deploy')}.",
    "app-health-check": f"{setting('health', 'probe')}, then {play('deploy')}.",
    "app-secrets": f"{setting('secrets', 'files')}, then {play('deploy')}.",
    "app-log-limit": f"{_DEPLOY}, with {setting('log_max_size')}.",
    "app-image-age": f"{setting('base_refresh', 'always')}, then {play('update')}.",
    "app-read-only": f"{setting('read_only', 'true')}, then {play('deploy')}.",
    "app-swap": _WHOLE,
    "app-cpu-limit": f"{_DEPLOY}, with {setting('cpu_limit')}.",
    "app-default-bridge": f"{_DEPLOY}, on {setting('network')}.",
    "app-image-tag": f"{_DEPLOY}, of an image with a tag of its own.",
    "others-privileged": f"{_THEIRS}: single capabilities or devices do.",
    "others-docker-socket": f"{_THEIRS}: give them a proxy of the socket that lets through what they need.",
    "others-database-ports": f"{play('setup')} closes them; or publish on 127.0.0.1 or nowhere.",
    "others-host-mounts": f"{_THEIRS}: mount the one directory that is needed, read-only.",
    "others-published-ports": f"{play('setup')} closes them; or allow the port with {setting('audit_ports')}.",
    "others-host-namespaces": f"{_THEIRS}.",
    "others-log-limit": f"Recreate them after {_CONFIG}: options of the file count for new containers alone.",
    "engine-tcp": "Take the address away from hosts or from the unit, or ask for certificates (tlsverify).",
    "engine-daemon-json": "Correct it, check it with dockerd --validate, then: systemctl restart docker",
    "engine-seccomp": "Use a kernel with seccomp, and no seccomp-profile unconfined.",
    "engine-version": f"{play('setup')} installs it.",
    "engine-compose-version": f"{play('setup')} installs it.",
    "engine-daemon-json-applied": "See whether a flag of the unit says otherwise, then: systemctl restart docker",
    "engine-live-restore": f"{_CONFIG}.",
    "engine-insecure-registries": "Give the registry a certificate, and take it out of insecure-registries.",
    "engine-mandatory-access": "Switch AppArmor on in the kernel: apt-get install apparmor, then reboot.",
    "engine-docker-group": "Take them out: gpasswd --delete USER docker; sudo asks who it is, and writes it down.",
    "engine-log-limit": f"{_CONFIG}.",
    "engine-no-new-privileges": f"{_CONFIG}.",
    "engine-user-namespace": "userns-remap in daemon.json, on a host without containers: all volumes change owners.",
    "engine-experimental": f"{_CONFIG}.",
    "engine-icc": f"icc: false by {_CONFIG}; other networks are not concerned.",
    "file-docker-socket": "systemctl restart docker.socket, and see what has changed it.",
    "file-env": f"{play('deploy')} writes it again, with mode 0600.",
    "file-secrets": "chmod 0400, each file, and 0700 for their directory.",
    "file-backups": "chmod 0700, the directory, and 0600 for its files.",
    "file-tls-keys": "chmod 0600, and 0640 where a group has to read them.",
    "file-app": "chown root, and chmod go-w.",
    "file-daemon-json": "chown root, and chmod go-w.",
    "file-containerd-socket": "systemctl restart containerd, and see what has changed it.",
    "host-firewall": f"{setting('firewall', 'present')}, then {play('setup')}.",
    "host-open-ports": f"{play('setup')} closes it; or listen on 127.0.0.1, or allow it with {setting('audit_ports')}.",
    "host-ssh-root": f"PermitRootLogin prohibit-password {_SSH}",
    "host-distribution": "Upgrade the distribution.",
    "host-ssh-passwords": f"PasswordAuthentication no and KbdInteractiveAuthentication no {_SSH}",
    "host-nftables-flush": "Delete and make your own tables in its place, and restart the engine once.",
    "host-security-updates": f"{setting('unattended_upgrades', 'true')}, then {play('setup')}.",
    "host-reboot": "Reboot; the application starts by itself.",
    "host-clock": f"{setting('time_sync', 'true')}, then {play('setup')}.",
    "host-sysctls": "Set them in a file below /etc/sysctl.d, then: sysctl --system",
    "backup-sets": f"{play('backup')} makes one, and {play('schedule')} one each night.",
    "backup-age": f"{play('backup')} makes one, and {play('schedule')} one each night.",
    "backup-drill": f"{play('restore_drill')} makes one, and {play('schedule')} one each month.",
    "backup-offsite": f"{setting('backup_offsite_repository')}, then {play('backup')}.",
}
