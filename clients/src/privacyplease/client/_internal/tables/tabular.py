"""Results that can be had as Arrow, pandas and polars tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Tabular(ABC):
    """A result that converts to a table column by column, without a loop over its rows."""

    __slots__ = ()

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """The result as an Arrow table."""

    def to_pandas(self) -> pd.DataFrame:
        """The same table as a pandas frame. Needs the extra `privacyplease[pandas]`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """The same table as a polars frame. Needs the extra `privacyplease[polars]`."""
        import polars as pl

        return pl.DataFrame(self.to_arrow())
