"""Parses messages about bike-share stations, as the pollers of `feeds` send them, into the columns of data set `bikes`.

>>> parsed = parse([
...     b'{"contract":"Lund","number":"12","available_bikes":13,"last_update":1451295410000,"polled_at":1451295470000}',
...     b'{"contract":"Lund","number":"9","available_bi',
...     b'{"contract":"Lund","number":"5","available_bikes":"3","polled_at":1451295470000}',
... ])
>>> parsed.table.select(["station", "observed_for", "available_bikes"]).to_pylist()
[{'station': 'lund/12', 'observed_for': datetime.timedelta(seconds=60), 'available_bikes': 13}]
>>> parsed.rows
array([0])
>>> for reject in parsed.rejects:
...     print(*reject)
1 record expected JSON
2 available_bikes expected a whole number
"""

from privacyplease.ingest.bikes.messages import parse
from privacyplease.ingest.bikes.station_states import SCHEMA

__all__ = ["SCHEMA", "parse"]
