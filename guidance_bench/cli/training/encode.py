"""``guidance-bench encode FOLDER to=LATENTS autoencoder=NAME``: images to latents, for ``train data=latents:...``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.console import say
from ...core.errors import UserError
from ..names import check_name, check_path
from ..options import check_options, truth, wants_help, whole_number

HELP = """\
guidance-bench encode FOLDER to=LATENTS autoencoder=NAME

  FOLDER           holds a folder of images for each class
  to=LATENTS       folder of the shards: moments, mirror images, labels,
                   channel statistics
  autoencoder=NAME sd_vae_ema | sd_vae_mse | va_vae | taesd, or a plug-in's
  source=PATH      its weights (default: as the autoencoder's own)
  size=256         height and width that images are cut to, as ADM cuts
  flip=true        the mirror images too
  shard=1024       images a shard
  batch=32         images a pass of the network
  device=auto

The same command continues after an interruption and does nothing when all is
done. Then: guidance-bench train recipe=sit_b_2_ig data=latents:LATENTS"""

OPTIONS = ("to", "autoencoder", "source", "size", "flip", "shard", "batch", "device")


def command(arguments: Sequence[str]) -> int:
    """Encode as the command line says; returns the exit status.

    Raises:
        UserError: an unknown option, an ill-typed value, or as :func:`guidance_bench.training.latents.encode.encode`.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    folders = [a for a in arguments if "=" not in a or Path(a).exists()]
    given = dict(a.split("=", 1) for a in arguments if a not in folders)
    check_options(given, OPTIONS)
    if len(folders) != 1:
        raise UserError(f"encode needs one FOLDER of class folders, {len(folders)} were given")
    for name in ("to", "autoencoder"):
        if not given.get(name):
            raise UserError(f"encode needs {name}=... (see: guidance-bench encode --help)")
    how: dict[str, Any] = {
        "size": whole_number("size", given.get("size", "256"), 8, 8192),
        "flip": truth("flip", given.get("flip", "true")),
        "shard": whole_number("shard", given.get("shard", "1024"), 1),
        "batch": whole_number("batch", given.get("batch", "32"), 1),
    }
    check_path(folders[0], "a folder that holds a folder of images for each class")
    check_name("autoencoder", given["autoencoder"])
    from ...core.environment import pick_device
    from ...networks.autoencoders.base import load_autoencoder
    from ...storage.files import read_sealed
    from ...training.data.class_folders import class_folders
    from ...training.latents.encode import Encoding, encode
    from ...training.latents.shards import INDEX_KEYS

    images = class_folders(folders[0])
    device = pick_device(given.get("device", "auto"))
    own: dict[str, Any] = {"source": given["source"]} if "source" in given else {}
    job = Encoding(images, load_autoencoder(given["autoencoder"], **own), **how)
    index = encode(job, Path(given["to"]).expanduser(), device)
    known = read_sealed(index, INDEX_KEYS)
    shape = " x ".join(map(str, known["shape"]))
    say(f"{known['count']:,} latents of {shape} in {len(known['shards'])} shards, {len(known['classes'])} classes")
    say(f"train on them: guidance-bench train recipe=NAME data=latents:{given['to']}")
    return 0
