"""Latents on disk: the shards, how images become some, and how they are read. Start with :mod:`.shards`."""
