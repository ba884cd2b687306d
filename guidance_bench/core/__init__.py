"""What everything stands on: errors, parameters, registries, keyed random numbers, names by hash, processes.

Imports nothing of the project. Start with :mod:`.registry` and :mod:`.parameters`.
"""
