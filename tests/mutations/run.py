# SPDX-License-Identifier: GPL-3.0-or-later
"""Put one fault at a time into a copy of the collection, and see that a test which passes without it catches it.

tests/mutations/run.py                 all of them; a survivor is a failure
tests/mutations/run.py retention       those whose name or file has that in it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".cache/mutants/docker_vps"
UNIT = "tests/unit/plugins"
ENDS_WITHIN = 900  # seconds


@dataclass(frozen=True)
class Mutant:
    """A fault: in a file, this code instead of that; and the tests that have to fail then."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


def in_plugin(name: str, file: str, right: str, wrong: str, *tests: str) -> Mutant:
    """Return a fault below plugins, which unit tests catch."""
    return Mutant(name, f"plugins/{file}", right, wrong, tuple(f"{UNIT}/{test}" for test in tests))


def in_role(role: str, file: str, right: str, wrong: str, *tests: str) -> Mutant:
    """Return a fault in a role, which tests on the engine catch."""
    return Mutant(f"role {role}", f"roles/{role}/{file}", right, wrong, (f"tests/integration/{tests[0]}", *tests[1:]))


MUTANTS = [
    # What modules are made of
    in_plugin(
        "reverse_proxy: what is there counts, and not what runs",
        "module_utils/_release/reverse_proxy.py",
        "stale = before.runs and self._proxy.generation() != generation(wanted)",
        "stale = before.runs and before.texts != wanted",
        "module_utils/_release/test_reverse_proxy.py",
    ),
    in_plugin(
        "app_status_info: what nobody could look at counts as no drift",
        "module_utils/_core/status.py",
        'UNKNOWN if facts["drift"] is None else',
        '"no" if facts["drift"] is None else',
        "module_utils/_core/test_status.py",
    ),
    in_plugin(
        "status_page: text of hosts is markup",
        "action/status_page.py",
        "autoescape=True",
        "autoescape=False",
        "action/test_status_page.py",
    ),
    in_plugin(
        "new_site: a file that somebody edited is rewritten",
        "action/new_site.py",
        "if present[name] is None}",
        "if present[name] != text}",
        "action/test_new_site.py",
    ),
    in_plugin(
        "container_health: unhealthy counts as healthy",
        "module_utils/_core/health.py",
        "if now.health == rules.wanted.value:",
        "if rules.wanted.value in (now.health or ''):",
        "module_utils/_core/test_health.py",
    ),
    in_plugin(
        "host_watch: what is paused is restarted",
        "module_utils/_core/heal.py",
        'if seen.state != "running":',
        'if seen.state not in ("running", "paused"):',
        "module_utils/_core/test_heal.py",
    ),
    in_plugin(
        "host_maintenance: images of releases on record are removed",
        "module_utils/_core/maintenance.py",
        "image.id not in used and image.identity not in released",
        "image.id not in used",
        "module_utils/_core/test_maintenance.py",
    ),
    in_plugin(
        "host_doctor_info: what follows comes before its cause",
        "module_utils/_core/doctor.py",
        "root, bool(finding.cause)",
        "root, not finding.cause",
        "module_utils/_core/test_doctor.py",
    ),
    in_plugin(
        "host_audit: what could not be checked is ok",
        "module_utils/_core/audit.py",
        "        return NOT_LOOKED_AT, unseen[0]",
        "        return OK, unseen[0]",
        "module_utils/_core/test_audit.py",
    ),
    in_plugin(
        "image_export: what was exported before is written again",
        "module_utils/_store/image_chunks.py",
        "known.get(digest) or ",
        "",
        "module_utils/_release/test_image_export.py",
    ),
    in_plugin(
        "image_import: layers of another image in another order count as there",
        "module_utils/_core/image_layout.py",
        "if ours != theirs), len(pairs))",
        "if ours != theirs and not number), len(pairs))",
        "module_utils/_core/test_image_layout.py",
    ),
    in_plugin(
        "image_import: an image whose load has failed keeps its name",
        "module_utils/_release/image_import.py",
        "        engine.remove_image(params.name)",
        "        pass",
        "module_utils/_release/test_image_import.py",
    ),
    in_plugin(
        "container_health: no container is a success",
        "modules/container_health.py",
        "if not names or not all(names):",
        "if not all(names):",
        "modules/test_container_health.py",
    ),
    in_plugin(
        "env_file: the file is written in check mode",
        "module_utils/_store/env_file.py",
        "if not check_mode:",
        "if True:",
        "module_utils/_store/test_env_file.py",
    ),
    in_plugin(
        "dotenv: a dollar sign is expanded",
        "module_utils/_core/dotenv.py",
        '"$": "\\\\$", ',
        "",
        "module_utils/_core/test_dotenv.py",
    ),
    in_plugin(
        "build_context: the directory is made in check mode",
        "module_utils/_store/build_context.py",
        "if check_mode else",
        "if False else",
        "modules/test_build_context.py",
    ),
    in_plugin(
        "host_info: a wrong host is taken",
        "module_utils/_release/host_info.py",
        "    if refusal(found):",
        "    if not found:",
        "module_utils/_release/test_host_info.py",
    ),
    in_plugin(
        "volume_backup: an archive of uploads that is not there is borne",
        "module_utils/_backup/backup.py",
        "if params.uploads and params.uploads.archive not in params.volumes:",
        "if False:",
        "module_utils/_backup/test_backup.py",
    ),
    in_plugin(
        "volume_restore: attributes of directories are not checked",
        "module_utils/_store/place.py",
        'if struct.unpack_from("i", flags)[0] & flag:',
        "if False:",
        "module_utils/_store/test_place.py",
    ),
    in_plugin(
        "volume_restore: who uses a directory by its path is not seen",
        "module_utils/_backup/users.py",
        "if not path or not place:",
        "if True:",
        "module_utils/_backup/test_users.py",
    ),
    in_plugin(
        "volume_restore: a running application is not refused",
        "module_utils/_backup/restore.py",
        "if containers and not params.stop_app:",
        "if False:",
        "module_utils/_backup/test_restore.py",
    ),
    in_plugin(
        "volume_restore: a damaged database is put in place",
        "module_utils/_backup/restore_source.py",
        "if facts.check == DAMAGED or rows:",
        "if False:",
        "module_utils/_backup/test_restore.py",
        "module_utils/_backup/test_restore_source.py",
    ),
    in_plugin(
        "backup_info: the latest set is one from the future",
        "module_utils/_store/sets.py",
        "found = latest_of(here.sets, now)",
        "found = here.sets[0] if here.sets else None",
        "module_utils/_store/test_sets.py",
    ),
    in_plugin(
        "backup_prune: the newest good set may go",
        "module_utils/_core/retention.py",
        "    if number == 1:",
        "    if number == 0:",
        "module_utils/_core/test_retention.py",
    ),
    in_plugin(
        "backup_prune: weeks by the calendar's year",
        "module_utils/_core/retention.py",
        '("week", f"{year}-W{week:02d}")',
        '("week", f"{time:%Y}-W{week:02d}")',
        "module_utils/_core/test_retention.py",
    ),
    in_plugin(
        "backup_prune: sets are removed in check mode",
        "module_utils/_backup/prune.py",
        "return _pruned(params, sets, clock.utc(), really=False)",
        "return _pruned(params, sets, clock.utc(), really=True)",
        "module_utils/_backup/test_prune.py",
    ),
    in_plugin(
        "backup_drill: a failed drill is a success",
        "module_utils/_backup/drill.py",
        "    if result.passed:",
        "    if True:",
        "module_utils/_backup/test_drill.py",
    ),
    in_plugin(
        "backup_import: a damaged database is imported",
        "module_utils/_backup/set_import.py",
        "    if found.check == DAMAGED:",
        "    if False:",
        "module_utils/_backup/test_set_import.py",
    ),
    in_plugin(
        "backup_export: a damaged archive is exported",
        "module_utils/_backup/export.py",
        "    if (source.sha256, count) != (archive.sha256, archive.bytes):",
        "    if False:",
        "module_utils/_backup/test_export.py",
    ),
    in_plugin(
        "backup_offsite: data is removed although the server kept its snapshots",
        "module_utils/_backup/offsite_removal.py",
        "    if not left:",
        "    if True:",
        "module_utils/_backup/test_offsite.py",
    ),
    in_plugin(
        "backup_offsite: a set of another host is taken for ours",
        "module_utils/_backup/offsite_info.py",
        "if remote_set.host == self.host]",
        "]",
        "module_utils/_backup/test_offsite.py",
    ),
    in_plugin(
        "backup_offsite: a damaged set here keeps the good one away",
        "module_utils/_backup/offsite.py",
        'if not problems(backup_set, "checksum")}',
        "}",
        "module_utils/_backup/test_offsite.py",
    ),
    in_plugin(
        "container_logs: the secret stands in the output",
        "module_utils/_core/secrets.py",
        "self._pattern.sub(lambda found: self._names[(found.lastindex or 0) - 1], text)",
        "text",
        "module_utils/_core/test_secrets.py",
    ),
    in_plugin(
        "validate_roles: a misspelt variable is not refused",
        "module_utils/_core/validators.py",
        "        if name.startswith(prefix):",
        "        if False:",
        "module_utils/_core/test_validators.py",
    ),
    in_plugin(
        "release_cutover: the database is copied while the old version writes",
        "module_utils/_release/cutover.py",
        "            self._retire()\n            self._secure_data()",
        "            self._secure_data()\n            self._retire()",
        "module_utils/_release/test_cutover.py",
    ),
    in_plugin(
        "release_cutover: a second container on the database is borne",
        "module_utils/_release/preconditions.py",
        "    if names:",
        "    if False:",
        "module_utils/_release/test_preconditions.py",
        "module_utils/_release/test_cutover.py",
    ),
    in_plugin(
        "release_cutover: what was live is forgotten before the new version is",
        "module_utils/_release/recovery.py",
        "    if world.releases.current() == release_id:",
        "    if True:",
        "module_utils/_release/test_recovery.py",
        "module_utils/_release/test_cutover.py",
    ),
    in_plugin(
        "release_rollback: rows are given up without being asked",
        "module_utils/_release/rollback.py",
        'if params.data == AUTO and (would_lose["tables"] or would_lose["newer_files"]):',
        "if False:",
        "module_utils/_release/test_rollback.py",
    ),
    in_plugin(
        "release_info: another image under the name is not reported",
        "module_utils/_release/release_info.py",
        'identity_of(container, engine.image(container["Image"])) != live.image_id',
        "False",
        "module_utils/_release/test_release_info.py",
    ),
    in_plugin(
        "release_start: Compose starts what the engine can start",
        "module_utils/_release/start.py",
        "if container and not stale and",
        "if container and stale and",
        "module_utils/_release/test_start.py",
    ),
    in_plugin(
        "image_pull: a pulled image gets no name of its own",
        "module_utils/_release/image_pull.py",
        "if not named and not check_mode:",
        "if not named and check_mode:",
        "module_utils/_release/test_image_pull.py",
    ),
    in_plugin(
        "firewall: what was confirmed is taken back all the same",
        "module_utils/_release/firewall.py",
        'mv "$1/pending" "$1/taken-back" &&',
        'mv "$1/pending" "$1/taken-back";',
        "module_utils/_release/test_firewall.py",
    ),
    in_plugin(
        "firewall: a boot loads rules that nobody has confirmed",
        "module_utils/_release/firewall.py",
        "    _apply(params, world, look)\n",
        "    _apply(params, world, look)\n    _keep(params, world, look.rules, ())\n",
        "module_utils/_release/test_firewall.py",
    ),
    in_plugin(
        "firewall: the port in a container counts, not the published one",
        "module_utils/_core/firewall.py",
        "meta l4proto {name} ct original proto-dst {port} accept",
        "{name} dport {port} accept",
        "module_utils/_core/test_firewall.py",
    ),
    in_plugin(
        "firewall: nobody is told that rules of others keep 80 and 443 closed",
        "module_utils/_release/firewall.py",
        ", *_cautions(world, opened, host)]",
        "]",
        "module_utils/_release/test_firewall.py",
    ),
    in_plugin(
        "firewall: a rule for any port counts as one for each",
        "module_utils/_core/nft_rules.py",
        "return bool(values == port)",
        "return True",
        "module_utils/_core/test_nft_rules.py",
    ),
    in_plugin(
        "image_push: the name that the push needs stays",
        "module_utils/_release/image_push.py",
        "            engine.remove_image(params.reference)",
        "            pass",
        "module_utils/_release/test_image_push.py",
    ),
    in_plugin(
        "image_sbom: a list that is there is made again",
        "module_utils/_release/image_sbom.py",
        "known.identity == identity",
        "known.identity != identity",
        "module_utils/_release/test_image_sbom.py",
    ),
    in_plugin(
        "base_images: a dry run pulls",
        "module_utils/_release/base_images.py",
        "if moved and not check_mode:",
        "if moved:",
        "module_utils/_release/test_base_images.py",
    ),
    in_plugin(
        "image_pull: an index counts as another image",
        "module_utils/_core/images.py",
        'return _of_config(image) if named_after_manifest or image.get("Descriptor") else called',
        "return called",
        "module_utils/_core/test_images.py",
    ),
    in_plugin(
        "release_recover: a dry run recovers",
        "module_utils/_release/release_recover.py",
        "    if check_mode:",
        "    if False:",
        "module_utils/_release/test_release_recover.py",
    ),
    in_plugin(
        "app_remove: it goes without its name typed",
        "module_utils/_release/removal.py",
        "    if params.confirm == params.app:",
        "    if True:",
        "module_utils/_release/test_removal.py",
    ),
    in_plugin(
        "app_remove: the env file goes although the data stays",
        "module_utils/_release/removal.py",
        ".union(() if params.data else secrets)",
        "",
        "module_utils/_release/test_removal.py",
    ),
    in_plugin(
        "deploy_lock: the lock of a running play is taken",
        "module_utils/_core/deploy_lock.py",
        "    if not why:",
        "    if False:",
        "module_utils/_core/test_deploy_lock.py",
    ),
    in_plugin(
        "notification: a dry run notifies people",
        "module_utils/_command/notify.py",
        "[] if check_mode else tell(",
        "tell(",
        "modules/test_notification.py",
    ),
    in_plugin(
        "engine_setup_info: an engine that will do is replaced",
        "module_utils/_core/engine_packages.py",
        "if not have or version(have) < version(least)",
        "if True",
        "module_utils/_core/test_engine_packages.py",
    ),
    in_plugin(
        "apt_source: any key will do",
        "module_utils/_release/apt_source.py",
        "    if found != [params.fingerprint]:",
        "    if not found:",
        "module_utils/_release/test_apt_source.py",
    ),
    in_plugin(
        "apt_packages: what is replaced stays beside",
        "module_utils/_engine/apt.py",
        '*(f"{name}-" for name in replaced)',
        "",
        "module_utils/_engine/test_apt.py",
    ),
    in_plugin(
        "engine_config: a configuration that the engine does not bear stays",
        "module_utils/_release/engine_config.py",
        "        files.put_back(path, before)\n        try:",
        "        try:",
        "module_utils/_release/test_engine_config.py",
    ),
    in_plugin(
        "release_cutover: API keys are not counted",
        "module_utils/_release/secret_change.py",
        'if number != "0":',
        "if False:",
        "module_utils/_release/test_secret_change.py",
    ),
    in_plugin(
        "release_cutover: secrets are files of anybody",
        "module_utils/_store/releases.py",
        "0o400",
        "0o444",
        "module_utils/_store/test_releases.py",
    ),
    # Roles
    in_role("common", "vars/main.yml", "{{ docker_vps_disk_free_min }}", "0", "test_failures.py", "-k", "disk"),
    in_role(
        "preflight", "tasks/apply.yml", '"{{ __docker_vps_host_look }}"', "{}", "test_failures.py", "-k", "preflight"
    ),
    in_role("proxy_network", "tasks/_create.yml", "not __proxy_network_suits", "false", "test_proxy_network.py"),
    in_role(
        "reverse_proxy", "templates/compose.yml.j2", "dns_search", "x-search", "test_reverse_proxy.py", "-k", "hardened"
    ),
    in_role("image", "templates/docker.sh.j2", "until flock -w 1 9", "until true", "test_image.py", "-k", "one_after"),
    in_role("common", "vars/main.yml", "combine(docker_vps_env)", "combine({})", "test_env_file.py"),
    in_role("env_file", "tasks/apply.yml", '"{{ __docker_vps_env_file }}"', "{values: {}}", "test_env_file.py"),
    in_role("image", "templates/Dockerfile.j2", "package-manager install", "false", "test_image.py", "-k", "labels"),
    in_role("stack", "templates/compose.yml.j2", "{{ docker_vps_health_retries }}", "5", "test_deploy.py"),
    in_role("image", "files/docker-entrypoint.sh", "$DATA_MOUNTS", "/data", "test_migration.py", "-k", "other_tools"),
    in_role(
        "image", "files/docker-entrypoint.sh", '${value%"$newline"}', "${value}", "test_secrets.py", "-k", "newline"
    ),
    in_role(
        "backup",
        "tasks/keep.yml",
        "when: docker_vps_backup_prune | bool\n",
        "when: false\n",
        "test_lifecycle.py",
        "-k",
        "prunes",
    ),
    in_role("restore", "tasks/apply.yml", "else restore_set", "else 'latest'", "test_lifecycle.py", "-k", "named"),
    in_role("audit", "tasks/apply.yml", 'fail_at: "{{ docker_vps_audit_fail }}"', "fail_at: never", "test_audit.py"),
    in_role("schedule", "templates/cron.j2", "root nice", "nobody nice", "test_schedule.py", "-k", "installs"),
    in_role("replica", "tasks/_write.yml", 'mode: "0600"', 'mode: "0644"', "test_replica.py", "-k", "secrets"),
    Mutant(
        "role engine",
        "roles/engine/tasks/apply.yml",
        "when: __engine_lacks.repository",
        "when: false",
        ("tests/hosts/test_bare.py", "-k", "debian_13_with_python"),
    ),
    in_role(
        "logs",
        "tasks/apply.yml",
        'pattern: "{{ docker_vps_logs_pattern }}"',
        'pattern: ""',
        "test_logs.py",
        "-k",
        "playbook",
    ),
]


def main(arguments: list[str]) -> int:
    """Try the mutants that are asked for and return how many survived."""
    chosen = [one for one in MUTANTS if not arguments or any(argument in one.name + one.file for argument in arguments)]
    survivors = []
    copy()
    for one in chosen:
        began = time.monotonic()
        caught = _caught(one)
        print(f"{'caught  ' if caught else 'SURVIVED'} {time.monotonic() - began:6.1f} s  {one.name}", flush=True)
        if not caught:
            survivors.append(one)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} were caught.")
    return len(survivors)


def copy() -> None:
    """Make a copy of what git knows or would add, with what is installed beside it."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, COPY / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    for collection in (ROOT / ".ansible/collections/ansible_collections").iterdir():
        place = COPY / ".ansible/collections/ansible_collections" / collection.name
        if not place.exists():
            place.symlink_to(collection)


def environment() -> dict[str, str]:
    """What tests of the copy need."""
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COPY / ".ansible/collections"),
        "ANSIBLE_CONFIG": str(COPY / "ansible.cfg"),
        "PYTHONDONTWRITEBYTECODE": "1",  # a fault of the same length in the same second would not be seen
    }


def _caught(one: Mutant) -> bool:
    path = COPY / one.file
    text = path.read_text()
    if text.count(one.right) < 1:
        raise SystemExit(f"{one.file} has no {one.right!r} any more: fix the list of mutants.")
    if _run(one.tests) != 0:
        raise SystemExit(f"pytest {' '.join(one.tests)} fails without the fault already: fix that first.")
    path.write_text(text.replace(one.right, one.wrong, 1))
    try:
        return _run(one.tests) == 1  # 2 and more: nothing was tested
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(text)


def _run(tests: tuple[str, ...]) -> int:
    """Run tests of the copy and return how pytest ended."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=COPY, env=environment(), capture_output=True, timeout=ENDS_WITHIN, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
