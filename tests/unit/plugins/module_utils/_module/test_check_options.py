# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that look are documented as they are read."""

from __future__ import annotations

import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.doc_fragments import look, place
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import SEVERITIES
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.check_options import LOOK_ARGUMENTS


def test_each_option_is_documented() -> None:
    options = {
        **yaml.safe_load(place.ModuleDocFragment.DOCUMENTATION)["options"],
        **yaml.safe_load(look.ModuleDocFragment.DOCUMENTATION)["options"],
    }
    for option in options.values():
        assert option.pop("description")
    assert options == LOOK_ARGUMENTS
    assert options["fail_at"]["choices"] == ["never", *SEVERITIES]
