# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of modules act upon is what their documentation says, with the same types and defaults."""

from __future__ import annotations

from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module import action_options
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import options_of

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    name.lower(): options for name, options in vars(action_options).items() if name.isupper() and name != "PROGRESS"
}


@pytest.mark.parametrize("module", OPTIONS)
def test_an_action_keeps_documented_options_for_itself(module: str) -> None:
    documented = options_of(module)
    for name, option in OPTIONS[module].items():
        assert option == {key: documented[name][key] for key in option}, name
