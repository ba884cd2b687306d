"""``guidance-bench train recipe=NAME data=SOURCE``: a network from a recipe and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

from ...core.console import duration, say
from ...core.errors import UserError
from ..names import check_name
from ..options import check_options, literal, truth, wants_help, whole_number

if TYPE_CHECKING:
    from ...core.parameters import Parameter

HELP = """\
guidance-bench train recipe=NAME data=SOURCE [recipe.FIELD=VALUE ...]

  recipe=NAME      a registered recipe (guidance-bench list recipes), or a .py
                   file that registers one
  data=SOURCE      digits | fashion_mnist[:FOLDER] | cifar10[:FOLDER] |
                   folder:PATH | latents:PATH, or a plug-in's
  recipe.FIELD=VALUE  what is to differ, e.g. recipe.steps=2000
  data.FIELD=VALUE an option of the source, e.g. data.size=64
  output=outputs   the network lies in OUTPUT/models/<name>/model.safetensors
  device=auto
  accumulate=1     parts that a batch is passed through the network in
  checkpointing=true  compute activations again instead of keeping them
  compile=true     the network through torch.compile
  log_every=50     steps from one row of log.csv to the next
  checkpoint_every=N  steps between checkpoints (default: every minute)
  keep_last=2      checkpoints kept to go on from
  keep_every=N     averaged weights kept for good every N steps (snapshots/)
  tracker=NAME     tensorboard or wandb, beside log.csv
  observe_every=N  sample grids and a Frechet distance of pixels every N steps,
                   drawn over the steps in observed.png

The same command continues after an interruption, bit for bit, and does nothing
when the training is finished. On several GPUs or hosts:
accelerate launch -m guidance_bench.cli train ...

Guide it, with a weak network from a *_weak recipe or a file of snapshots/:
guidance-bench run benchmark=NAME method=autoguidance
  backbone=OUTPUT/models/<name> weak=OUTPUT/models/<weak name>"""

NAMED = ("recipe", "data", "output", "device", "tracker")
WHOLE = ("accumulate", "log_every", "checkpoint_every", "keep_last", "keep_every", "observe_every")
TRUTHS = ("checkpointing", "compile")


def command(arguments: Sequence[str]) -> int:
    """Train as the command line says; returns the exit status.

    Raises:
        UserError: an unknown option, an ill-typed value, or as :func:`guidance_bench.training.protocol.make`.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    given = _words(arguments)
    plain = {name: value for name, value in given.items() if "." not in name}
    check_options(plain, (*NAMED, *WHOLE, *TRUTHS))
    for name in ("recipe", "data"):
        if name not in plain:
            raise UserError(
                f"train needs {name}=... (guidance-bench list {'recipes' if name == 'recipe' else 'sources'})"
            )
    how = _how(plain)
    check_name("recipe", plain["recipe"])
    check_name("source", plain["data"].partition(":")[0], [plain["recipe"]])
    from ...evaluation.training_samples import TrainingSamples
    from ...training.data.source import SOURCES, open_source
    from ...training.execution import Execution
    from ...training.protocol import make, place_of, the_recipe

    recipe = the_recipe(*_recipe(plain["recipe"], _prefixed(given, "recipe")))
    source = plain["data"].partition(":")[0]
    SOURCES.entry(source)
    options = _values(f"source {source!r}", SOURCES.parameters(source), _prefixed(given, "data"))
    data = open_source(plain["data"], **options)
    execution, models = Execution(**how), Path(plain.get("output", "outputs")) / "models"
    if execution.observe_every:
        shown = place_of(recipe, data, models) / "samples"
        execution = replace(execution, observer=TrainingSamples(data, shown))
    made = make(recipe, data, models, plain.get("device", "auto"), execution)
    losses = made.facts["losses"]
    say(f"{made.facts['parameters']:,} parameters, loss {losses[-1][1]:.4f}, {duration(made.facts['seconds'])}")
    say(f"network: {made.model}")
    if execution.observe_every:
        _draw(made.folder)
    return 0


def _draw(folder: Path) -> None:
    """The figure of what the training saw of itself."""
    from ...leaderboard.figures.convergence import observed_figure
    from ...leaderboard.figures.style import save, style
    from ...training.journal import observed

    rows = observed(folder).rows()
    if rows:
        with style():
            figure = save(
                observed_figure(rows), folder / "observed", "Frechet distance of cells against training steps"
            )
        say(f"figure: {figure.png} (also .svg, .pdf)")


def _words(arguments: Sequence[str]) -> dict[str, str]:
    odd = next((a for a in arguments if "=" not in a), None)
    if odd is not None:
        raise UserError(f"{odd!r} is no NAME=VALUE (see: guidance-bench train --help)")
    given = dict(a.split("=", 1) for a in arguments)
    for name in given:
        prefix, dot, _ = name.partition(".")
        if dot and prefix not in ("recipe", "data"):
            raise UserError(f"unknown option {name!r}: fields are those of recipe. and data.")
    return given


def _recipe(text: str, given: dict[str, str]) -> tuple[str, dict[str, Any]]:
    from ...training.recipe import RECIPES

    if text.endswith(".py"):
        names = RECIPES.load_file(text)
        if len(names) != 1:
            raise UserError(f"recipe={text!r} registers {', '.join(names)}: one recipe a file is needed here")
        text = names[0]
    return text, _values(f"recipe {text!r}", RECIPES.parameters(text), given)


def _prefixed(given: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.split(".", 1)[1]: value for name, value in given.items() if name.startswith(f"{prefix}.")}


def _values(owner: str, known: Sequence[Parameter], given: dict[str, str]) -> dict[str, Any]:
    """Texts as values; a single number does for a tuple of one."""
    types = {parameter.name: parameter.type for parameter in known}
    values = {name: value if types.get(name) is str else _literal(value) for name, value in given.items()}
    return {
        name: (value,) if get_origin(types.get(name)) is tuple and not isinstance(value, (tuple, list)) else value
        for name, value in values.items()
    }


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false", "none", "null"):
        return {"true": True, "false": False}.get(text.lower())
    return literal(text)


def _how(given: dict[str, str]) -> dict[str, Any]:
    """Arguments of :class:`guidance_bench.training.execution.Execution`."""
    least = {"checkpoint_every": 0, "keep_every": 0, "observe_every": 0}
    found: dict[str, Any] = {"tracker": given["tracker"]} if "tracker" in given else {}
    found |= {name: whole_number(name, given[name], least.get(name, 1)) for name in WHOLE if name in given}
    return found | {name: truth(name, given[name]) for name in TRUTHS if name in given}
