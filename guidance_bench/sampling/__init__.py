"""From noise to samples: solvers, the driver that answers queries, the sampler of a batch, the blocks of a run.

Imports all above it: core, storage, networks, guidance. Start with :mod:`.sampler`, then :mod:`.driver`.
"""
