"""Messages that could not be ingested, sealed in a topic of their own: `<topic>.dlq`.

A dead letter's value is the message, sealed by the proxy, and so is its key: what waits there can be read by nobody
but who may ask the proxy. Its headers tell, in plaintext, why it is there and where it came from.
"""

from privacyplease.ingest.dead_letters.letter import Letter, Origin, dead_letter_topic
from privacyplease.ingest.dead_letters.mailbox import Mailbox
from privacyplease.ingest.dead_letters.post import Post
from privacyplease.ingest.dead_letters.redrive import Redriven, redrive

__all__ = ["Letter", "Mailbox", "Origin", "Post", "Redriven", "dead_letter_topic", "redrive"]
