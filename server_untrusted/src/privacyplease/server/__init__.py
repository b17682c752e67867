"""The untrusted storage server: it keeps sealed cells under opaque tags and returns them on request.

Nothing here can open a cell. The package imports no cryptography, knows no key, no column and no data set, and handles
only two kinds of values: 16 bytes to find something by, and bytes that the proxy sealed.

    $ python -m privacyplease.server --storage sqlite:///cells.db --listen 127.0.0.1:7070 --insecure
"""

from privacyplease.server.limits import Limits
from privacyplease.server.server import Load, StorageServer, build_server
from privacyplease.server.storage_url import open_store
from privacyplease.server.store import Store

__all__ = ["Limits", "Load", "StorageServer", "Store", "build_server", "open_store"]
