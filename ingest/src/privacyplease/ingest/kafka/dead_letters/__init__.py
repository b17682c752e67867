"""Messages that could not be ingested, sealed in a topic of their own: `<topic>.dlq`.

A dead letter's value is the message, sealed by the proxy, and its key is sealed too: only those whom the proxy permits
can read what is stored there. Its headers say, in plaintext, why it is there and where it came from.
"""

from privacyplease.ingest.kafka.dead_letters.dead_letter import DeadLetter, Origin, UnsealedLetter, dead_letter_topic
from privacyplease.ingest.kafka.dead_letters.reader import DeadLetterReader
from privacyplease.ingest.kafka.dead_letters.redrive import RedriveSummary, redrive
from privacyplease.ingest.kafka.dead_letters.writer import DeadLetterWriter

__all__ = [
    "DeadLetter",
    "DeadLetterReader",
    "DeadLetterWriter",
    "Origin",
    "RedriveSummary",
    "UnsealedLetter",
    "dead_letter_topic",
    "redrive",
]
