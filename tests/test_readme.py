"""The README says what the committed records say, and its plug-in is the one that the tests run."""

from __future__ import annotations

import re
from pathlib import Path

from readme import README, rendered

HERE = Path(__file__).parent


def test_every_number_in_the_readme_is_of_a_committed_record():
    text = README.read_text(encoding="utf-8")
    assert rendered(text) == text, "run: python tests/readme.py"


def test_the_readmes_plugin_is_the_tested_one():
    shown = re.search(r"# late_cfg\.py\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S).group(1)
    tested = (HERE / "plugins" / "late_cfg.py").read_text(encoding="utf-8")

    def code(text: str) -> list[str]:
        return [line.split("#")[0].rstrip() for line in text.splitlines() if line.strip()]

    assert code(shown) == code(tested)


def test_the_readmes_pictures_and_links_are_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
