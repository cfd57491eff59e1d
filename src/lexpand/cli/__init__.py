"""The same from a shell: `lexpand COMMAND`, a file a command.

The room reads arguments and prints; what is done stands in the rooms above it.
"""

from lexpand.cli.app import main

__all__ = ["main"]
