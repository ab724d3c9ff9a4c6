# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests of real applications start their plays."""

from __future__ import annotations

import plays

plays.forking = True
