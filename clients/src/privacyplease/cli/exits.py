"""Exit codes.

code  meaning
0     done; of a question: answered, even if the answer is "nobody"
1     a fault: of the system, of this machine, or of the command itself
2     the command line is wrong
3     the question or the records were refused: mend them, or ask whoever answers for the policy
4     nobody answers, not in time, or not that often: try again
5     the storage server tampered with the data, or lost some: the answer was thrown away
130   interrupted
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command ends with."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    REFUSED = 3
    TRY_AGAIN = 4
    UNTRUSTED = 5
    INTERRUPTED = 130
