# SPDX-License-Identifier: GPL-3.0-or-later
"""Change retention and dotenv in every way that Cosmic Ray knows, and see that their tests notice.

A change that no test can notice is listed below with the reason. One that survives and is not listed is a failure, and
so is one that is listed and does not survive.
"""

from __future__ import annotations

import json
import subprocess
import sys

from run import COPY, copy, environment

TESTS = "tests/unit/plugins/module_utils/_core"
CONFIG = f"""
[cosmic-ray]
module-path = ["plugins/module_utils/_core/retention.py", "plugins/module_utils/_core/dotenv.py"]
timeout = 60.0
excluded-modules = []
test-command = "{sys.executable} -m pytest -q -x -p no:cacheprovider {TESTS}/test_retention.py {TESTS}/test_dotenv.py"

[cosmic-ray.distributor]
name = "local"
"""

# By line before and line after: why nobody can tell the difference.
_FLAGS = "re.VERBOSE | re.DOTALL,"
_GOOD = "decisions.append(_of_good(candidate, good_seen, good_seen == len(counted), rules))"
_HAS = "return False, f\"{self._name} has its {self._count} {unit}{'s' if self._count > 1 else ''}\""
_BARE = 'return str(line["bare"]).split(" #", 1)[0].strip()'
SURVIVORS: dict[tuple[str, str], str] = {
    ("@dataclass(frozen=True)", "@dataclass(frozen=False)"): "Nothing assigns to a field; mypy refuses it as well.",
    ("if len(kinds) > 1:", "if len(kinds) != 1:"): "Without a kind there is no set to decide.",
    ("if number == 1:", "if number <= 1:"): "Sets are counted from 1.",
    (_GOOD, _GOOD.replace("==", ">=")): "Never more good sets are seen than there are.",
    (_HAS, _HAS.replace("> 1", "!= 1")): "A rule with a count of 0 is left out, and a negative one is refused.",
    (_FLAGS, _FLAGS.replace("|", "+")): "The two flags have no bit in common.",
    (_FLAGS, _FLAGS.replace("|", "^")): "The two flags have no bit in common.",
    ("while position < len(text):", "while position != len(text):"): "No match ends behind the text.",
    ("position = 0", "position = -1"): "A pattern takes a negative position for 0.",
    (_BARE, _BARE.replace("1", "2")): "Only what stands before the first is used.",
}


def main() -> int:
    """Try every change and return how many survived without a reason, or have a reason and did not."""
    copy()
    (COPY / "cosmic-ray.toml").write_text(CONFIG)
    for step in ("init", "exec"):
        _cosmic_ray(step, "cosmic-ray.toml", "every.sqlite")
    results = [json.loads(line)[1] for line in _cosmic_ray("dump", "every.sqlite").splitlines()]
    survived = [_change(one["diff"]) for one in results if one["test_outcome"] == "survived"]
    for before, after in survived:
        reason = SURVIVORS.get((before, after), "and no reason is known")
        print(f"SURVIVED  {before}\n      ->  {after}\n          {reason}")
    noticed = sorted(set(SURVIVORS) - set(survived))
    for before, after in noticed:
        print(f"listed, but noticed:  {before}\n      ->  {after}")
    print(f"{len(results) - len(survived)} of {len(results)} changes were noticed.")
    return len(set(survived) - set(SURVIVORS)) + len(noticed)


def _cosmic_ray(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cosmic_ray.cli", *arguments],
        cwd=COPY,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _change(diff: str) -> tuple[str, str]:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (" ".join(line[1:].split()) for sign in "-+" for line in lines if line.startswith(sign))
    return before, after


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
