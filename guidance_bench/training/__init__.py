"""From data to networks: recipes, sources of data, the latent cache, the loss, optimisers, averaged weights, the loop.

Imports sampling and all above it. Start with :mod:`.protocol`, then :mod:`.trainer`; :mod:`.for_benchmarks` is the
benchmarks' door to the same loop.
"""
