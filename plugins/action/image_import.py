# SPDX-License-Identifier: GPL-3.0-or-later
"""Action image_import: sends to the host what the module of this name finds lacking there; documented there."""

from __future__ import annotations

import os
import shlex
import signal
import time
from typing import Any, Iterable, Mapping, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Chunk, Layout, layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.remedies import again
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import sentence, size
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded

MODULE = "ptnextjs.docker_vps.image_import"
OWN: Mapping[str, Mapping[str, Any]] = {"source": {"type": "path", "required": True}}
ROUNDS = 3  # times that parts are sent, of which some may have been damaged, or removed by somebody
PROGRESS = 5.0  # seconds between two lines
DAMAGED = 65
# A file has the name of a chunk only when it is that.
TAKE = """\
set -e
umask 077
mkdir -p {directory}
cat {sent} >{partial}
test "$(sha256sum <{partial} | cut -c1-64)" = {sha256} || {{ rm -f {partial}; exit 65; }}
mv {partial} {path}"""


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    TRANSFERS_FILES = True  # which makes a directory for them on the host
    _supports_check_mode = True
    now = staticmethod(time.monotonic)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's last result."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        source = self._source()
        asked = {name: value for name, value in self._task.args.items() if name not in OWN}
        try:
            return self._brought(asked, source, variables)
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # its words are not a speaker's
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _source(self) -> str:
        """Return where the files are.

        Raises:
            AnsibleActionFail: that is not said.
        """
        given = {name: value for name, value in self._task.args.items() if name in OWN}
        checked = ArgumentSpecValidator(OWN).validate(given)
        if checked.error_messages:
            raise AnsibleActionFail(" ".join(checked.error_messages))
        return str(checked.validated_parameters["source"])

    def _brought(self, asked: Mapping[str, Any], source: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        result, sent, rounds = self._module(asked, variables), 0, 0
        while not (result.get("failed") or result["loaded"] or self._task.check_mode):
            rounds += 1
            if rounds > ROUNDS:
                raise DockerVpsError(
                    f"Parts of the image {asked['name']} were sent {ROUNDS} times and could not be used: the disk of "
                    f"the host damages files, or somebody removes them. See what becomes of {asked['directory']}."
                )
            lacking = _to_send(layout_of(asked["image"]), result)
            sent += self._send(lacking, source, result["staging"], variables)
            result = self._module({**asked, "load": True, "whole": result["whole"]}, variables)
        return {**result, "sent": sent}

    def _module(self, asked: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=dict(asked), task_vars=variables)
        return result

    def _send(self, chunks: Iterable[Chunk], source: str, staging: str, variables: Mapping[str, Any]) -> int:
        """Send chunks, tell how far that is, and return the bytes."""
        chunks = list(chunks)
        every, done, shown = sum(chunk.size for chunk in chunks), 0, self.now()
        for chunk in chunks:
            self._send_one(os.path.join(source, chunk.sha256), chunk, staging)
            done += chunk.size
            if self.now() >= shown + PROGRESS:
                shown = self.now()
                self._print(f"{done * 100 // every} % of {size(every)} are sent", variables)
        return done

    def _send_one(self, file: str, chunk: Chunk, staging: str) -> None:
        """Send a chunk.

        Raises:
            DockerVpsError: the controller does not have it any more, or the host does not take it.
        """
        if not os.path.isfile(file):
            raise DockerVpsError(
                f"{file}, a part of the image, is not on the controller any more. To export it anew, {again()}."
            )
        shell = self._connection._shell
        sent = str(shell.join_path(shell.tmpdir, "chunk"))
        self._transfer_file(file, sent)
        self._fixup_perms2((shell.tmpdir, sent))
        path = os.path.join(staging, chunk.sha256)
        parts = {"directory": staging, "sent": sent, "partial": f"{path}.partial", "path": path, "sha256": chunk.sha256}
        done = self._low_level_execute_command(
            TAKE.format(**{name: shlex.quote(value) for name, value in parts.items()})
        )
        if done["rc"] == DAMAGED:
            raise DockerVpsError(
                f"{file}, a part of the image, is damaged on the controller, or was on its way. To export it anew, "
                f"{again()}."
            )
        if done["rc"]:
            reason = sentence((done["stderr"] or done["stdout"]).strip() or "its shell gave no reason")
            raise DockerVpsError(
                f"The host cannot take a part of the image in {staging}: {reason} Mend that, and {again()}."
            )

    def _print(self, text: str, variables: Mapping[str, Any]) -> None:
        # The worker hands this to the first process through a queue, whose lock must not die with it at Ctrl-C: Ansible
        # would wait for it for ever.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._display.display(f"{variables['inventory_hostname']} | {text}")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _to_send(image: Layout, result: Mapping[str, Any]) -> list[Chunk]:
    wanted = [chunk for blob in image.blobs if blob.digest in result["lacking"] for chunk in blob.chunks]
    return list({chunk.sha256: chunk for chunk in wanted if chunk.sha256 not in result["staged"]}.values())
