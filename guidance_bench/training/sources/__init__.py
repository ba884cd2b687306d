"""Training data that come with the project's readers, one file a source. Start with :mod:`.digits`."""
