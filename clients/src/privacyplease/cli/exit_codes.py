"""Exit codes. docs/COMMANDS.md says what each of them means."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command exits with."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    REFUSED = 3
    TRY_AGAIN = 4
    UNTRUSTED = 5
    INTERRUPTED = 130
