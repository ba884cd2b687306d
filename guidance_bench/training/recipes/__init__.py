"""Training recipes that come with the project, one file a family. Start with :mod:`.small`."""
