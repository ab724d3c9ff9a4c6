# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how a cutover is done."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of CUTOVER_ARGUMENTS, without those of the fragment place."""

    DOCUMENTATION = r"""
options:
  project:
    description: The Compose project; O(app) when not given.
    type: str
  container:
    description: The name of the container, by which the proxy reaches it; V(<app>-app) when not given.
    type: str
  database_volume:
    description: The volume with the key C(database) in C(compose.yml); V(<app>-db) when not given.
    type: str
  media_volume:
    description: The volume with the key C(media) in C(compose.yml); V(<app>-media) when not given, and none when empty.
    type: str
  volumes:
    description: Further volumes in C(compose.yml), whose keys there are their names.
    type: list
    elements: str
    default: []
  external:
    description: Whether something other than this Compose project made the volumes.
    type: bool
    default: false
  aliases:
    description:
      - Further names of the application on its networks.
      - Unlike O(container), the new container has them from its start, before it is healthy.
    type: list
    elements: str
    default: []
  allowed_containers:
    description: Containers other than the application that may use the database's volume, such as that of a replica.
    type: list
    elements: str
    default: []
  strategy:
    description:
      - V(stop-first) stops the old version before the new one starts, as a SQLite database requires. With a proxy that
        holds requests meanwhile, users notice only a short pause.
      - V(start-first) stops the old version after the new one has taken its place. It is refused when the database's
        volume holds an SQLite database, and it never puts data back.
    type: str
    choices: [stop-first, start-first]
    default: stop-first
  start_first_force:
    description: Allow V(start-first) even when the volume holds an SQLite database.
    type: bool
    default: false
  health_timeout:
    description: Seconds within which a version has to become healthy.
    type: float
    default: 60
  proxy:
    description: The reverse proxy in front of the application, which determines the default of O(drain_timeout).
    type: str
    choices: [caddy, nginx, traefik]
    default: caddy
  drain_timeout:
    description:
      - Seconds from when the old version gets no new requests until it is stopped. A server that stops drops
        connections that it has not accepted yet.
      - By default V(2.5) with O(strategy=start-first) or O(proxy=nginx), since Nginx keeps using an address for about
        that long, and V(0.3) otherwise, since users wait meanwhile.
    type: float
  monitor:
    description: Seconds to watch the new version once it serves, before the old one is removed.
    type: float
    default: 10
  smoke_test_command:
    description: A command with its arguments that has to succeed in the new container before it serves.
    type: list
    elements: str
    default: []
  proxy_reload_command:
    description:
      - A command with its arguments to run on the host when O(container) has become the name of another container, also
        when a failed version is undone. For proxies that cache addresses.
    type: list
    elements: str
    default: []
  public_url:
    description: The address at which visitors reach the application; nothing is asked when it is empty.
    type: str
    default: ""
  public_check:
    description:
      - Whether to ask for O(public_url) from this host once the new version serves, by its name and, if that fails, on
        this host under that name.
      - When visitors are not served, V(warn) says in RV(cautions) at which stage that breaks, and V(fail)
        undoes the release. A name that leads elsewhere is no failure if this host serves the page.
    type: str
    choices: ["off", warn, fail]
    default: "off"
  public_text:
    description: What the page must contain.
    type: str
    default: ""
  log_lines:
    description:
      - How many of the last log lines of a failed version to show in the message. The whole log is kept with the
        release.
    type: int
    default: 50
  retain_releases:
    description: How many releases that were healthy to keep, with their images; at least 2.
    type: int
    default: 5
  deployed_by:
    description: Who deploys, and from where, for the record of the release.
    type: str
    default: ""
  migration_loss:
    description:
      - What to do when tables have fewer rows once the new version is healthy than there were when the old one had
        stopped. For example, a migration that recreates a table inside a transaction can delete the rows that refer to
        it.
      - V(warn) names them in RV(cautions) and in the record of the release. V(fail) undoes the release.
      - With O(strategy=start-first) nothing is compared, since both versions write.
    type: str
    choices: [warn, fail]
    default: warn
  loss_ignore:
    description:
      - Patterns with C(*) and C(?) of names of tables, or of paths of databases, whose rows come and go in normal
        operation.
    type: list
    elements: str
    default: ["payload_locked_documents*", "payload_jobs*", payload_kv, users_sessions]
  backup:
    description: The backup set to make before anything changes, if there is data. None when not given.
    type: dict
    suboptions:
      directory:
        description: The directory of the backup sets; V(/var/backups/<app>) when not given.
        type: path
      volumes:
        description: The volumes by the names of their archives.
        type: dict
        required: true
      compression:
        description: How the archives are compressed.
        type: str
        choices: [gzip, zstd, none]
        default: gzip
      consistency:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: str
        choices: [online, pause, stop]
        default: online
      store:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: str
        choices: [files, shared]
        default: files
      reread:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: int
        default: 7
      database:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: str
        default: ""
      uploads_query:
        description:
          - A query whose first column is the path of an upload that must be in the archive V(media); not checked when
            empty.
        type: str
        default: ""
      loss_rows:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: float
        default: 50
      loss_files:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: float
        default: 50
"""
