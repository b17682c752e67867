"""WiFi session logs: who was associated with which access point, when and for how long.

Reads Cisco Prime's "Client Sessions" CSV and the tab-separated stream format, gzipped or not:

>>> import io
>>> log = read(io.BytesIO(b'''Client MAC Address,AP Name,Association Time,Session Duration
... 02:fb:ae:12:7e:8d,ap-14,Tue Oct 01 00:00:00 JST 2024,49 min 43 sec
... 02:fb:ae:12:7e:8d,ap-15,last Tuesday,0 sec
... '''))
>>> for block in log:
...     print(block.table.num_rows, block.table["association_time"][0], block.rejects[0].line, block.rejects[0].field)
1 2024-09-30 15:00:00+00:00 3 association_time
"""

from privacyplease.ingest.wifi.columns import SCHEMA
from privacyplease.ingest.wifi.reader import SessionLog, read
from privacyplease.ingest.wifi.sessions import Block
from privacyplease.ingest.wifi.writer import write
from privacyplease.ingest.wifi.zones import zone_named

__all__ = ["SCHEMA", "Block", "SessionLog", "read", "write", "zone_named"]
