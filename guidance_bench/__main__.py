"""``python -m guidance_bench VERB``."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
