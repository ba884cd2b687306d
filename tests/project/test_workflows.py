"""The workflow that checks a contribution of records, run on a repository of two commits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from synthetic_records import record_of

from guidance_bench.experiments.records import committed_results, seal
from guidance_bench.storage.files import read_json, write_json

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"


def test_no_workflow_has_a_secret_or_more_than_it_needs():
    for path in WORKFLOWS.glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        assert "secrets." not in text and "pull_request_target" not in text and ": write" not in text, path
    assert workflow()["permissions"] == {"contents": "read"}


def workflow():
    return yaml.safe_load((WORKFLOWS / "records.yml").read_text(encoding="utf-8"))


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def contribution(tmp_path):
    """A repository with one commit, the base; and the folder of its records."""
    repository = tmp_path / "contribution"
    records = repository / "benchmarks" / "results" / "digits_full" / "records"
    records.mkdir(parents=True)
    git(tmp_path, "init", "-q", str(repository))
    (repository / "README.md").write_text("base")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "base")
    return repository, records


def checked(repository, tmp_path) -> subprocess.CompletedProcess[str]:
    """The workflow's last step, with ``guidance-bench`` of this environment."""
    base = git(repository, "rev-parse", "HEAD").strip()
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "records")
    step = workflow()["jobs"]["verify"]["steps"][-1]
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "guidance-bench").write_text(f'#!/bin/sh\nexec {sys.executable} -m guidance_bench "$@"\n')
    (tools / "guidance-bench").chmod(0o755)
    environment = {**os.environ, "BASE": base, "RUNNER_TEMP": str(tmp_path), "PATH": f"{tools}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(WORKFLOWS.parents[1])
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )


def test_good_records_pass_and_a_changed_metric_does_not(contribution, tmp_path):
    repository, records = contribution
    good = sorted((committed_results() / "digits_full" / "records").glob("*.json"))[:2]
    shutil.copy(good[0], records)
    changed = read_json(good[1])
    name = next(name for name in changed["metrics"] if name.startswith("frechet"))
    changed["metrics"][name] = {**changed["metrics"][name], "mean": 0.1, "values": [0.1]}
    write_json(records / good[1].name, seal({k: v for k, v in changed.items() if k != "sha256"}))
    found = checked(repository, tmp_path)
    assert found.returncode != 0, found.stderr
    lines = {line.split()[1]: line.split()[0] for line in found.stdout.splitlines() if ".json" in line}
    assert lines == {good[0].name: "ok", good[1].name: "differs"}
    assert "own record" in found.stdout


def test_a_record_that_this_program_would_name_otherwise_fails(contribution, tmp_path):
    """A record that says nothing of the weak network's steps, which the benchmark has in its name."""
    repository, records = contribution
    made = record_of("ig", networks={"main": {"backbone": "sit", "steps": 500}})
    write_json(records / f"{made['run_id']}.json", made)
    found = checked(repository, tmp_path)
    assert found.returncode != 0 and "specification: " in found.stdout
    assert "benchmark.parameters.weak_steps: 250 here, None in the record" in found.stdout


def test_a_change_without_records_passes(contribution, tmp_path):
    repository, _ = contribution
    (repository / "README.md").write_text("changed")
    found = checked(repository, tmp_path)
    assert (found.returncode, found.stdout) == (0, "")
