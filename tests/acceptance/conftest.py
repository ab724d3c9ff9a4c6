# SPDX-License-Identifier: GPL-3.0-or-later
"""How the acceptance tests start their plays."""

from __future__ import annotations

import plays

plays.forking = True
