"""The ruler: our paths and the programs that they replace, timed in one process.

Imports whatever it times. ``python -m guidance_bench.speed``.
"""
