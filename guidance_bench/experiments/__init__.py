"""One run from its specification to its record, and the line-up of a benchmark.

Imports evaluation and all above it. Start with :mod:`.benchmark`, then :mod:`.runner`.
"""
