"""``python -m guidance_bench.cli``, as torchrun and accelerate start it."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
