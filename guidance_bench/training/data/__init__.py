"""Training data: the interface, where they come from, and what is drawn of them at each step. Start with :mod:`.dataset`."""
