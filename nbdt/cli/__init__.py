"""The command line: it parses, calls the library, and prints.

Every command is a module of its own, imported only when it is run, so that ``nbdt --help``, the
completion of a shell, and commands that need no network answer at once.

What a user can rely on: results go to standard output and everything else to standard error; with
``--json`` standard output holds JSON and nothing else; an error is one sentence that begins with
``nbdt:``; and the exit code is 0 when all went well, 1 when inputs failed (the others still got
their answer), and 2 when the command could not be understood or begun.
"""

from nbdt.cli.program import app, main

__all__ = ["app", "main"]
