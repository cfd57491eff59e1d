"""The same from a shell: `lexpand COMMAND`, a file a command.

The package reads arguments and prints; what is done stands in the packages above it, not here.
"""


def main() -> None:
    """The entry point of the command `lexpand`."""
    try:
        from lexpand.cli.app import run

        run()
    except KeyboardInterrupt:
        # In the first second, while modules are imported, no frame of ours has the turn yet.
        import sys

        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


__all__ = ["main"]
