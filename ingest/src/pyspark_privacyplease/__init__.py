"""Where Spark finds the data source `privacyplease` without its being registered.

Spark imports every top-level module whose name begins with `pyspark_` and takes its `DefaultSource`.
"""

from privacyplease.ingest.spark.data_source import PrivacyPleaseDataSource as DefaultSource

__all__ = ["DefaultSource"]
