"""The same from a shell: `lexpand COMMAND`.

Commands parse, call and print. `table.py` lists them, `app.py` runs them, and `options.py` and
`settings.py` hold shared options.

It is not for logic, which belongs in the packages above.
"""


def main() -> None:
    """The entry point of the command `lexpand`."""
    try:
        from lexpand.cli.app import run

        run()
    except KeyboardInterrupt:
        # While modules are imported, the handler in app.py is not active yet.
        import sys

        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


__all__ = ["main"]
