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
    description: The container's name, by which the proxy reaches it; V(<app>-app) when not given.
    type: str
  database_volume:
    description: The volume with the key C(database) in the definition; V(<app>-db) when not given.
    type: str
  media_volume:
    description: The volume with the key C(media) in the definition; V(<app>-media) when not given.
    type: str
  external:
    description: Whether the volumes were not made by this Compose project.
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
    description: Containers that may run on the database's volume besides the application, such as a replica's.
    type: list
    elements: str
    default: []
  strategy:
    description:
      - V(stop-first) ends the old version before the new one starts, as one SQLite database needs it. A proxy that
        holds requests makes a short pause of it.
      - V(start-first) ends the old version when the new one has its place. It is refused when the database's volume
        holds an SQLite database, and never puts data back.
    type: str
    choices: [stop-first, start-first]
    default: stop-first
  start_first_force:
    description: Let two versions overlap even when the volume holds an SQLite database.
    type: bool
    default: false
  health_timeout:
    description: Seconds within which a version has to become healthy.
    type: float
    default: 60
  proxy:
    description: The reverse proxy before the application, from which the default of O(drain_timeout) follows.
    type: str
    choices: [caddy, nginx, traefik]
    default: caddy
  drain_timeout:
    description:
      - Seconds between the moment when new requests go elsewhere and the stop of the old version. A server that stops
        drops connections that it has not accepted yet.
      - V(2.5) by default with O(strategy=start-first) or O(proxy=nginx), as long as Nginx believes an address; V(0.3)
        otherwise, since users wait for it.
    type: float
  monitor:
    description: Seconds for which the new version is watched once it serves, before the old one is removed.
    type: float
    default: 10
  smoke_test_command:
    description: A command with its arguments that has to succeed in the new container before it serves.
    type: list
    elements: str
    default: []
  proxy_reload_command:
    description:
      - A command with its arguments that runs on the host when the name has moved to another container, also on the way
        back. For proxies that remember addresses.
    type: list
    elements: str
    default: []
  log_lines:
    description: How many of a failed version's last log lines the message has. All of them are kept with the release.
    type: int
    default: 50
  retain_releases:
    description: How many releases that were healthy are kept, with their images; at least 2.
    type: int
    default: 5
  deployed_by:
    description: Who asked for this, and from where; written down.
    type: str
    default: ""
  migration_loss:
    description:
      - What to do when tables have fewer rows once the new version is healthy than there were when the old one had
        stopped. A migration that makes a table anew in a transaction deletes the rows that refer to it.
      - V(warn) names them in the cautions and in the record of the release. V(fail) undoes the release.
      - With O(strategy=start-first) nothing is compared, since both versions write.
    type: str
    choices: [warn, fail]
    default: warn
  loss_ignore:
    description:
      - Patterns of the names of tables, or of the paths of databases, whose rows come and go in normal operation.
    type: list
    elements: str
    default: ["payload_locked_documents*", "payload_jobs*", payload_kv, users_sessions]
  backup:
    description: The backup set to make before anything changes, if there is data. None when not given.
    type: dict
    suboptions:
      directory:
        description: Where the backup sets lie; V(/var/backups/<app>) when not given.
        type: path
      volumes:
        description: The names of the archives, and which volume each holds.
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
      database:
        description: As in M(ptnextjs.docker_vps.volume_backup).
        type: str
        default: ""
      uploads_query:
        description: A query for the uploads that have to be in the archive V(media); none if empty.
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
