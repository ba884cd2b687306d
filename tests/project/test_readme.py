"""The README says what the committed records say, and its plug-in is the one that the tests run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from readme_tables import METHODS_PAGE, README, SPEED_PAGE, STUDY_PAGE, methods_page, rendered, speed_page, study_page

HERE = Path(__file__).parents[1]
PAGES = [
    (README, rendered),
    (METHODS_PAGE, methods_page),
    (STUDY_PAGE, study_page),
    (SPEED_PAGE, speed_page),
]


@pytest.mark.parametrize(("page", "make"), PAGES)
def test_every_number_in_the_readmes_is_of_a_committed_record(page, make):
    text = page.read_text(encoding="utf-8")
    assert make(text) == text, "run: python tests/helpers/readme_tables.py"


def test_the_readmes_plugin_is_the_tested_one():
    shown = re.search(r"# late_cfg\.py\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S).group(1)
    tested = (HERE / "plugins" / "late_cfg.py").read_text(encoding="utf-8")

    def code(text: str) -> list[str]:
        return [line.split("#")[0].rstrip() for line in text.splitlines() if line.strip()]

    assert code(shown) == code(tested)


@pytest.mark.parametrize("page", [README, METHODS_PAGE, STUDY_PAGE])
def test_the_readmes_pictures_and_links_are_there(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
