# SPDX-License-Identifier: GPL-3.0-or-later
"""Action image_export: fetches what the module of this name has written to the controller; documented there."""

from __future__ import annotations

import os
import shlex
import time
from typing import Any, Mapping, Optional, Sequence

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Chunk, layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import Work
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.remedies import again
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import sentence
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.action_options import IMAGE_EXPORT as OWN
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.terminal import Shown
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import PARTIAL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.image_chunks import LOCK, Chunks
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import locked

MODULE = "ptnextjs.docker_vps.image_export"
WAIT = 3600.0  # seconds for another host of the play, which fetches the same
# The directory belongs to the user who logs in, who is to read it; the file is of the user who has built the image.
GIVE = "umask 077 && cp {path} {given} && chown --reference={directory} {given}"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    TRANSFERS_FILES = True  # which makes a directory for them on the host
    _supports_check_mode = True
    now = staticmethod(time.monotonic)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's result, with where the files are on the controller."""
        super().run(tmp, task_vars)
        asked = {name: value for name, value in self._task.args.items() if name not in OWN}
        checked = ArgumentSpecValidator(OWN).validate(
            {name: self._task.args[name] for name in {*self._task.args} & {*OWN}}
        )
        if checked.error_messages:
            raise AnsibleActionFail(" ".join(checked.error_messages))
        name = (task_vars or {}).get("inventory_hostname", "")
        shown = Shown(self._display, checked.validated_parameters["progress"], name)
        try:
            result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=asked, task_vars=task_vars)
            if not (result.get("failed") or self._task.check_mode):
                result["source"] = self._source(
                    result, os.path.abspath(os.path.expanduser(str(asked["directory"]))), shown
                )
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # its words are not a speaker's
        finally:
            shown.clear()
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _source(self, result: Mapping[str, Any], here: str, shown: Shown) -> str:
        """Return where the files are on the controller, to which they are fetched unless they are there already."""
        directory, chunks = str(result["directory"]), layout_of(result["image"]).chunks
        if self._connection.transport == "local" and os.access(directory, os.R_OK | os.X_OK):
            return directory
        kept = Chunks(here)
        kept.make()
        with locked(kept.path(LOCK), "fetching an image", WAIT):
            sound = kept.sound(chunks)
            self._fetch_all(directory, kept, [chunk for chunk in chunks if chunk.sha256 not in sound], shown)
            kept.retain(chunks)
        return here

    def _fetch_all(self, directory: str, kept: Chunks, chunks: Sequence[Chunk], shown: Shown) -> None:
        """Fetch chunks, each once, and show how far that is."""
        lacking = {chunk.sha256: chunk for chunk in chunks}.values()
        every, done, began = sum(chunk.size for chunk in lacking), 0, self.now()
        for chunk in lacking:
            elapsed = self.now() - began
            shown.show(elapsed, Work("the image is fetched", done, every, elapsed))
            self._fetch(directory, kept, chunk)
            done += chunk.size

    def _fetch(self, directory: str, kept: Chunks, chunk: Chunk) -> None:
        shell = self._connection._shell
        given = str(shell.join_path(shell.tmpdir, "chunk"))
        parts = {"path": os.path.join(directory, chunk.sha256), "given": given, "directory": shell.tmpdir}
        done = self._low_level_execute_command(
            GIVE.format(**{name: shlex.quote(value) for name, value in parts.items()})
        )
        if done["rc"]:
            reason = sentence((done["stderr"] or done["stdout"]).strip() or "its shell gave no reason")
            raise DockerVpsError(
                f"A part of the image cannot be fetched from {directory}: {reason} Fix that, and {again()}."
            )
        partial = kept.path(chunk.sha256 + PARTIAL)
        self._connection.fetch_file(given, partial)
        kept.adopt(partial, chunk)
