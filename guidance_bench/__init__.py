"""guidance_bench: fair, reproducible comparison of guidance methods for diffusion and flow transformers."""

from __future__ import annotations

from pathlib import Path as _Path

import lazy_loader as _lazy

# A bare clone keeps backbones/, methods/ and benchmarks/ beside this folder; installed, they are inside it. The
# question is "not inside", not "beside": in site-packages a stranger's `methods` would otherwise be taken for ours.
if not (_Path(__file__).parent / "methods").is_dir():
    __path__.append(str(_Path(__file__).resolve().parent.parent))

# The public names stand in __init__.pyi, for type checkers and for this line alike; each is imported on first use, so
# that the command line's help and a user's typing mistake do not wait for torch.
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

__version__ = "0.1.0"
