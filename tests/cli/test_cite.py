"""The papers of methods as BibTeX that parses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pybtex.database import parse_string

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.guidance.authors import AUTHORS
from guidance_bench.guidance.citation import bibtex, papers


def test_every_methods_papers_parse_and_none_is_lost():
    names = gb.METHODS.names()
    parsed = parse_string(bibtex(names), "bibtex")
    sources = {paper for name in names for paper in papers(name)}
    assert len(parsed.entries) == len(sources) >= 25
    for entry in parsed.entries.values():
        assert entry.fields["title"].strip("{}")
        if "eprint" in entry.fields:
            assert entry.fields["url"] == f"https://arxiv.org/abs/{entry.fields['eprint']}"
            assert entry.fields["year"] == f"20{entry.fields['eprint'][:2]}"


def test_authors_are_those_of_papers_that_are_cited_here():
    names = gb.METHODS.names()
    entries = parse_string(bibtex(names), "bibtex").entries.values()
    assert {e.fields["eprint"] for e in entries if "author" in e.persons} == set(AUTHORS) and len(AUTHORS) >= 37
    lacking = [e for e in entries if "eprint" in e.fields and "author" not in e.persons]
    assert bibtex(names).count("(authors: see the url)") == len(lacking)
    karras = parse_string(bibtex(["autoguidance"]), "bibtex").entries["arxiv2406_02507"].persons["author"]
    assert [str(p.last_names[-1]) for p in karras][:2] == ["Karras", "Aittala"] and len(karras) == 6


def test_methods_of_one_paper_share_an_entry(capsys):
    assert main(["cite", "ig", "ig_cfg", "apg"]) == 0
    said = capsys.readouterr().out
    assert said.count("@misc{") == 2 and "% ig, ig_cfg\n@misc{arxiv2512_24176," in said
    assert parse_string(said, "bibtex").entries["arxiv2410_02416"].fields["title"].startswith("{Eliminating")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["igg"], 2, "unknown method 'igg'"),
        (["none"], 0, ""),
        (["PLUGIN"], 2, "names no paper"),
    ],
)
def test_what_cannot_be_cited_is_one_line(words, status, message, tmp_path, capsys):
    plugin = tmp_path / "own_method.py"
    plugin.write_text(
        "from guidance_bench import Guidance, register_method\n@register_method('uncited')\n"
        "class Own(Guidance):\n    def guide(self, step, query):\n        return (yield query)\n"
    )
    assert main(["cite", *(str(plugin) if w == "PLUGIN" else w for w in words)]) == status
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == (status == 2)


def test_signs_that_latex_reads_are_escaped(tmp_path):
    path = tmp_path / "signs.py"
    path.write_text(
        "from guidance_bench import Guidance, register_method\n@register_method('signs')\nclass Signs(Guidance):\n"
        "    paper = 'Less & More: 50% {of} $x_t$, arXiv 2601.00001'\n"
        "    def guide(self, step, query):\n        return (yield query)\n"
    )
    gb.METHODS.load_file(path)
    entry = parse_string(bibtex(["signs"]), "bibtex").entries["arxiv2601_00001"]
    assert entry.fields["title"] == r"{Less \& More: 50\% \{of\} \$x\_t\$}"


def test_the_page_of_methods_names_the_papers():
    text = (Path(__file__).parents[2] / "methods" / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^- (`.*?`): (.*?)(?:, \[arXiv (\S+)\]\((\S+)\))?$", text, flags=re.M)
    assert len(lines) >= 25
    for names, title, number, address in lines:
        for name in re.findall(r"`(\w+)`", names):
            assert (title, number or None) in papers(name)
        assert address == (f"https://arxiv.org/abs/{number}" if number else "")
