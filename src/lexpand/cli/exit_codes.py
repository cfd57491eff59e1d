"""How a command ended, as a number; 0 (done) and 2 (the command line is wrong) are Typer's."""

EXIT_ERROR = 1
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130
