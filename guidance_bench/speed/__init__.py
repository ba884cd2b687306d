"""The ruler: our paths and the programs that they replace, timed in one process.

Imports whatever it times. Start with :mod:`.measure`; ``guidance-bench speed``.
"""
