"""Checkpoints that others wrote: :mod:`.reading` opens a file, :mod:`.containers` finds the weights in what it holds.

:mod:`.unpickling` is the reader of pickles behind them, which builds tensors and plain values and nothing else.
"""
