"""The jobs of ``check``, composed as ``run`` composes them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from hydra import compose, initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ...core.console import say
from ...core.errors import UserError
from ...experiments.hydra_schema import register_configs
from ...experiments.preflight.findings import Finding, text_of, would_start
from ...experiments.preflight.look_ahead import look_ahead
from .overrides import checked, first_lines, load_plugin
from .plan import plan_of, rows_of


def look(flags: Sequence[str], overrides: Sequence[str]) -> int:
    """Look at every job; 0 if all would start (of ``row=all``: one row at least, as ``run`` leaves the others out).

    Raises:
        UserError: words that ``run`` would refuse.
    """
    if any(flag not in ("-m", "--multirun") for flag in flags):
        raise UserError(f"check takes the words of run without Hydra's flags: {' '.join(flags)}")
    plugins: list[str] = []
    overrides, *hidden = checked([load_plugin(override, plugins) for override in overrides])
    register_configs([quote(p) for p in plugins], *hidden)
    try:
        jobs = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(list(overrides)), None)[0]
        with initialize(version_base="1.3", config_path=None):
            return max(_job(compose("run", overrides=list(words))) for words in jobs)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(first_lines(error)) from error


def _job(config: DictConfig) -> int:
    if config.row != "all":
        return 0 if _one(config) else 1
    good = []
    for row in rows_of(config):
        say(f"row {row}")
        found = _one(OmegaConf.merge(config, {"row": row}))  # type: ignore[arg-type]
        good.append(found)
        say("")
    return 0 if any(good) else 1


def _one(config: DictConfig) -> bool:
    try:
        plan = plan_of(config)
        found = look_ahead(plan.runner, [*plan.own, *plan.others], plan.seeds)
    except UserError as error:
        if config.row is None:
            raise
        found = [Finding("row", "wrong", str(error))]
    say(text_of(found))
    start = would_start(found)
    say("run would start" if start else "run would not start")
    return start
