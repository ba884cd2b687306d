"""Training data: the interface, their sources, and what is drawn of them at each step. Start with :mod:`.dataset`."""
