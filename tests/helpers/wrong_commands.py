"""Wrong command lines of every verb: each a sound one with one thing wrong, or a slip of the fingers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from guidance_bench.cli.declared import declared
from guidance_bench.cli.experiments.words import GROUPS
from guidance_bench.cli.experiments.words import options as run_options
from guidance_bench.cli.main import VERBS
from guidance_bench.cli.names import PACKAGES
from guidance_bench.cli.parser import help_text, option_names

LONG = "x" * 300
#: What a whole number of at least one is not.
WHOLE = (
    "",
    "0",
    "-1",
    "1.5",
    "abc",
    "nan",
    "1e3",
    "²",
    "[1]",
    "null",
    "true",
    " 3",
    "9" * 30,
    "9" * 5000,
    "1_0",
    "0x10",
)
TRUTH = ("", "maybe", "1", "yes", "null", "[true]", "truefalse", "ja")
DEVICE = ("", "gpu", "cuda:99", "cpu:x", "1e3", "[cpu]", "meta", "CPU ", "xla:0:0", LONG)
PLACE = ("/proc/x/y", "empty.py/x", "/dev/null/x", LONG, f"a/{LONG}/b.json")
NAME = ("", "nope", "é", "a b", "[x]", "1", LONG, "../x", "nothing.py", "syntax.py", "empty.py", "text.txt", "(" * 300)
#: No folder, file or run.
NOWHERE = ("nothing", "", LONG, "nothing/x", "empty.py", "text.txt", "bytes.py", "folder.py", "\udcff", "~nobody/x")

RECIPE = ["train", "recipe=digits_sit_ig", "data=digits", "device=cpu"]
ENCODE = ["encode", "pictures", "to=latents", "autoencoder=taesd", "device=cpu"]
TUNE = ["tune", "benchmark=digits", "method=cfg", "budget=4000", "device=cpu"]
EVALUATE = ["evaluate", "pictures", "reference=pictures", "device=cpu"]
SPEED = ["speed", "only=frechet", "rounds=1"]

#: A sound command and, of one option of it, values that are not.
VALUES: list[tuple[list[str], str, tuple[str, ...]]] = [
    *((RECIPE, name, WHOLE) for name in ("accumulate", "log_every", "keep_last")),
    *((RECIPE, f"{name}_every", tuple(v for v in WHOLE if v != "0")) for name in ("checkpoint", "keep", "observe")),
    *((RECIPE, name, TRUTH) for name in ("checkpointing", "compile")),
    *((RECIPE, f"recipe.{name}", ("", "abc", "-1", "nan", "[1,x]", "{}", "9" * 400)) for name in ("steps", "batch")),
    *((RECIPE, name, NAME) for name in ("recipe", "data")),
    (RECIPE, "tracker", NAME[1:]),
    (RECIPE, "recipe.stepz", ("1",)),
    (RECIPE, "data.size", ("1",)),
    (RECIPE, "device", DEVICE),
    (RECIPE, "output", PLACE),
    *((ENCODE, name, WHOLE) for name in ("size", "shard", "batch")),
    (ENCODE, "flip", TRUTH),
    (ENCODE, "autoencoder", NAME),
    (ENCODE, "device", DEVICE),
    (ENCODE, "source", NOWHERE[:1] + NOWHERE[2:]),
    (TUNE, "budget", WHOLE),
    *((TUNE, name, NAME) for name in ("benchmark", "method")),
    (TUNE, "seeds", ("", "x", "-1", "1,,2", "1;2", "0", "9" * 40, "1.5", "1,x")),
    (TUNE, "search", ("scale", "scale:", "scale:1", "scale:2..1", "scale:a..b", "scale:1..inf", "nope:1..2", ":1..2",
                      "scale:1..2,scale:1..2", "scale:nan..2", "scale:1..1", "scale:-9..2", ",", "channels:1..2")),
    (TUNE, "benchmark.samples", ("0", "-1", "x", "1.5", "null", "[1]", "{}", "9" * 400)),
    (TUNE, "benchmark.nope", ("1",)),
    (TUNE, "device", DEVICE),
    (TUNE, "output", PLACE),
    *((EVALUATE, name, WHOLE) for name in ("batch_size",)),
    (EVALUATE, "jackknife", tuple(v for v in WHOLE if v != "0")),
    (EVALUATE, "partial", TRUTH),
    (EVALUATE, "metrics", NAME),
    (EVALUATE, "reference", NOWHERE),
    (EVALUATE, "device", DEVICE),
    *((EVALUATE, name, PLACE) for name in ("output", "keep_reference")),
    *(([*EVALUATE, "metrics=kid"], f"kid.{name}", ("", "x", "-1", "1.5", "[", "(" * 300, "null")) for name in
      ("subset_size",)),
    (EVALUATE, "nope.x", ("1",)),
    (EVALUATE, "fid.nope", ("1",)),
    (SPEED, "only", tuple(v for v in NAME if v)),
    *((SPEED, name, WHOLE[2:]) for name in ("rounds", "threads")),
    (SPEED, "device", DEVICE),
    (["leaderboard", "records"], "latex", (*NAME, "FULL", "wide")),
    (["leaderboard", "records"], "all", TRUTH),
    (["leaderboard", "records"], "output", PLACE),
    (["report", "records"], "output", PLACE),
    *((["report", "records"], name, tuple(v for v in NAME if v)) for name in ("benchmark", "method")),
    (["verify", "records"], "samples", ("", "0", "-1", "1.5", "some", "NONE", "²", "9" * 30, "1e3", "[1]", " 3")),
    *((["verify", "records"], name, tuple(v for v in NAME if v)) for name in ("benchmark", "method", "solver")),
    (["verify", "records"], "device", DEVICE),
    (["strength", "records"], "samples", WHOLE),
    (["strength", "records"], "device", DEVICE),
    (["clean", "folder.py"], "what", (*NAME, "old,", "old;temporary", "OLD", "all")),
    (["clean", "folder.py"], "yes", TRUTH),
    (["compare", "cfg", "ig"], "records", tuple(v for v in NOWHERE if v)),
    (["submit", "records"], "benchmark", NAME),
    *((["export", "x", "to=a.png"], name, WHOLE) for name in ("columns", "rows")),
    (["export", "x"], "to", ("", "a.npz", "a/", LONG, "/proc/x")),
    (["export", "x", "to=a.npz"], "output", NOWHERE),
]  # fmt: skip

#: The words of each verb that takes some, with one in the place of ``{}``.
PLACES = (
    ["leaderboard", "{}"], ["report", "{}"], ["report", "records", "{}"], ["verify", "{}", "samples=none"],
    ["strength", "{}"], ["compare", "{}", "cfg", "records=records"], ["compare", "cfg", "{}", "records=records"],
    ["compare", "cfg", "ig", "{}"],
    ["submit", "{}", "benchmark=digits"], ["export", "{}", "to=a.npz"], ["cite", "{}"], ["cite", "cfg", "{}"],
    ["check-method", "{}"], ["check-method", "cfg", "{}"], ["list", "{}"], ["list", "methods", "{}"],
    ["evaluate", "{}", "reference=pictures"], ["evaluate", "pictures", "{}", "reference=pictures"],
    ["encode", "{}", "to=latents", "autoencoder=taesd"],
    ["encode", "pictures", "{}", "to=latents", "autoencoder=taesd"],
    ["train", "{}"], ["tune", "{}"], ["speed", "{}"], ["version", "{}"], ["run", "{}"], ["check", "{}"],
)  # fmt: skip


def slips(word: str, count: int, known: frozenset[str] = frozenset()) -> list[str]:
    """What hurried fingers make of a word: a letter left out, doubled, changed for its neighbour, in capitals."""
    draw = random.Random(word)
    places = range(len(word))
    made = {word[:i] + word[i + 1 :] for i in places} | {word[:i] + word[i] + word[i:] for i in places}
    made |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in places[:-1]}
    made |= {word.upper(), word.capitalize(), word.replace("_", "-"), f"{word} ", f" {word}", f"{word}s", f"{word}."}
    sound = sorted(m for m in made - {word, ""} - known if not m.startswith("-") and "=" not in m)
    return draw.sample(sound, min(count, len(sound)))


def options_of(verb: str) -> list[str]:
    """The options that a verb's help names."""
    if verb in ("run", "check"):
        return list(run_options())
    text = help_text(VERBS[verb])
    named = {*option_names(text), *(f"{name}=" for name in re.findall(r"^  ([a-z_]+)=", text, re.MULTILINE))}
    return sorted(name.rstrip("=") for name in named)


def all_wrong() -> list[list[str]]:
    """Each once."""
    return [list(words) for words in dict.fromkeys(tuple(words) for words in _wrong())]


def _wrong() -> Iterator[list[str]]:
    verbs = frozenset(VERBS) | {"help"}
    for verb in VERBS:
        yield from ([slip] for slip in slips(verb, 8, verbs))
        yield from (
            [verb, f"{slip}=1"] for name in options_of(verb) for slip in slips(name, 4, frozenset(options_of(verb)))
        )
        yield from ([verb, flag] for flag in ("--nope", "-z", "--version=3", "---", "-=1"))
    for sound, option, values in VALUES:
        yield from ([*(w for w in sound if not w.startswith(f"{option}=")), f"{option}={value}"] for value in values)
    for words in PLACES:
        yield from ([word.replace("{}", wrong) for word in words] for wrong in NOWHERE)
    for group in GROUPS:
        known = declared(PACKAGES[group], group)
        for name, fields in known.items():
            yield from (["run", f"{group}={slip}"] for slip in slips(name, 2, frozenset(known)) if slip == slip.strip())
            for field in (fields or [])[:1]:
                slip = slips(field, 1, frozenset(fields or ()))
                yield from (["check", f"{group}={name}", f"{group}.{one}=1"] for one in slip)
    methods = frozenset(declared(PACKAGES["method"], "method"))
    for name in sorted(methods):
        yield from ([verb, slip] for verb in ("cite", "check-method") for slip in slips(name, 2, methods))
