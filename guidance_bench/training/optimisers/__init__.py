"""Optimisers and learning rates. Start with :mod:`.of_recipe`."""
