# SPDX-License-Identifier: GPL-3.0-or-later
"""Action image_import: sends to the host what the module of this name finds lacking there; documented there."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
import time
from functools import partial
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import (
    CHUNK,
    Chunk,
    Layout,
    layout_of,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import Work
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.remedies import again
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import sentence
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.action_options import IMAGE_IMPORT as OWN
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.terminal import Shown
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import PARTIAL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.image_chunks import Chunks

MODULE = "ptnextjs.docker_vps.image_import"
ROUNDS = 3  # times that parts are sent, of which some may have been damaged, or removed by somebody
DAMAGED = 65
# A file has the name of a chunk only when it is that. Ansible adds "&& sleep 0", which ends what -e does in the loop.
TAKE = """\
set -e
umask 077
mkdir -p {directory}
cd {directory}
tar -x -f {sent}
for name in {names}; do
test "$(sha256sum <$name.partial | cut -c1-64)" = $name || {{ rm -f $name.partial; exit 65; }}
mv $name.partial $name || exit 1
done"""


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _supports_check_mode = True
    now = staticmethod(time.monotonic)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's last result."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        own = self._own()
        shown = Shown(self._display, own["progress"], variables["inventory_hostname"])
        # The module wants the source as well, as its documentation says.
        asked = {name: value for name, value in self._task.args.items() if name == "source" or name not in OWN}
        try:
            return self._brought(asked, str(own["source"]), shown, variables)
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # its words are not a speaker's
        finally:
            shown.clear()
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _own(self) -> Mapping[str, Any]:
        """Return the options that the module does not know.

        Raises:
            AnsibleActionFail: one is wrong.
        """
        given = {name: value for name, value in self._task.args.items() if name in OWN}
        checked = ArgumentSpecValidator(OWN).validate(given)
        if checked.error_messages:
            raise AnsibleActionFail(" ".join(checked.error_messages))
        own: Mapping[str, Any] = checked.validated_parameters
        return own

    def _brought(
        self, asked: Mapping[str, Any], source: str, shown: Shown, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        began, sent, rounds = self.now(), 0, 0
        result = self._module(asked, variables)
        while not (result.get("failed") or result["loaded"] or self._task.check_mode):
            rounds += 1
            if rounds > ROUNDS:
                raise DockerVpsError(
                    f"Parts of the image {asked['name']} were sent {ROUNDS} times and could not be used: the disk of "
                    f"the host damages files, or somebody removes them. Check what changes {asked['directory']}."
                )
            lacking = _to_send(layout_of(asked["image"]), result)
            sent += self._send(lacking, source, result["staging"], shown, began)
            result = self._module({**asked, "load": True, "whole": result["whole"]}, variables)
        return {**result, "sent": sent}

    def _module(self, asked: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=dict(asked), task_vars=variables)
        return result

    def _send(self, chunks: Sequence[Chunk], source: str, staging: str, shown: Shown, began: float) -> int:
        """Send chunks, show how far that is, and return the bytes."""
        every, done, first = sum(chunk.size for chunk in chunks), 0, self.now()
        for together in parcels(chunks):
            now = self.now()
            shown.show(now - began, Work("the image is sent", done, every, now - first))
            self._send_together(source, together, staging)
            done += sum(chunk.size for chunk in together)
        return done

    def _send_together(self, source: str, chunks: Sequence[Chunk], staging: str) -> None:
        """Send chunks at once, since each exchange with a host takes a while.

        Raises:
            DockerVpsError: the controller does not have them any more, or the host does not take them.
        """
        done = self._taken(_packed(source, chunks), {"directory": staging}, [chunk.sha256 for chunk in chunks])
        if done["rc"] == DAMAGED:
            sound = Chunks(source).sound(chunks)
            name = next((chunk.sha256 for chunk in chunks if chunk.sha256 not in sound), chunks[0].sha256)
            raise DockerVpsError(
                f"{os.path.join(source, name)}, a part of the image, was damaged on the controller or in transit. "
                f"To export it again, {again()}."
            )
        if done["rc"]:
            reason = sentence((done["stderr"] or done["stdout"]).strip() or "its shell gave no reason")
            raise DockerVpsError(
                f"The host cannot take a part of the image in {staging}: {reason} Fix that, and {again()}."
            )

    def _taken(self, data: bytes, given: Mapping[str, str], names: Sequence[str]) -> Mapping[str, Any]:
        """Let the host take an archive of chunks, and return how that ended.

        With pipelining the archive follows the command, otherwise it is a file first, which takes several exchanges.
        """
        quoted = {name: shlex.quote(value) for name, value in given.items()}
        script = partial(TAKE.format, names=" ".join(names), **quoted)
        if self._is_pipelining_enabled("new"):
            return self._shell(script(sent="-"), in_data=data)
        shell = self._connection._shell
        if not shell.tmpdir:
            self._make_tmp_path()
        sent = str(shell.join_path(shell.tmpdir, "chunks"))
        self._transfer_data(sent, data)
        self._fixup_perms2((shell.tmpdir, sent))
        return self._shell(script(sent=shlex.quote(sent)))

    def _shell(self, command: str, **how: Any) -> Mapping[str, Any]:
        done: Mapping[str, Any] = self._low_level_execute_command(command, **how)
        return done


def parcels(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Yield chunks in order, as many together as are not larger than the largest can be."""
    together: list[Chunk] = []
    for chunk in chunks:
        if together and sum(before.size for before in together) + chunk.size > CHUNK:
            yield together
            together = []
        together.append(chunk)
    if together:
        yield together


def _packed(source: str, chunks: Iterable[Chunk]) -> bytes:
    """Return an archive of chunks, whose names say that they are not checked yet.

    Raises:
        DockerVpsError: the controller does not have one any more.
    """
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for chunk in chunks:
            path = os.path.join(source, chunk.sha256)
            try:
                with open(path, "rb") as file:
                    data = file.read()
            except OSError as error:
                raise DockerVpsError(
                    f"{path}, a part of the image, is not on the controller any more. To export it again, {again()}."
                ) from error
            member = tarfile.TarInfo(chunk.sha256 + PARTIAL)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _to_send(image: Layout, result: Mapping[str, Any]) -> list[Chunk]:
    wanted = [chunk for blob in image.blobs if blob.digest in result["lacking"] for chunk in blob.chunks]
    return list({chunk.sha256: chunk for chunk in wanted if chunk.sha256 not in result["staged"]}.values())
