"""Exit codes. Typer adds 0 (success) and 2 (wrong command line)."""

EXIT_ERROR = 1
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130
