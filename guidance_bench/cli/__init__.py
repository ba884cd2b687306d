"""The command line, one file a verb; what a verb does lies in the packages above.

Imports everything. Start with :mod:`.main`, whose ``VERBS`` names each verb's module.

A verb is a module under experiments/, results/, training/ or about/ with two things:

- ``HELP``, a plain string (no f-string, no call): the usage in its first line, then one line an option (``name=...``).
  It is read from the file without importing it, so help and completion never wait for torch.
- ``command(arguments) -> int``, which takes the words after the verb and returns the exit status. A user's mistake is a
  :class:`~guidance_bench.core.errors.UserError`: one line and exit status 2.

:mod:`.parser` builds the parser (typer) from them: ``--help`` of each verb, ``--version``, shell completion. Any other
word, flags included, reaches ``command`` as it was typed.
"""
