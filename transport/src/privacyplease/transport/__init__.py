"""What every part of Privacy Please that speaks gRPC needs: admission, deadlines, TLS credentials, call log, status.

It belongs to no trust zone and imports none. What differs between zones is passed in: the errors that a call is refused
with (`refusals`), the exception that a bad file or address raises, and how to name a caller.
"""

import logging

# A program that configures no logging, as one that only uses the SDK, sees none of ours.
logging.getLogger(__name__).addHandler(logging.NullHandler())
