"""``python -m guidance_bench.speed``."""

import sys

from .evaluation import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
