# %% [markdown]
# # A week on a campus
#
# Encrypted records, queried into tables: this notebook asks a proxy that seals and stores the sessions of a simulated
# campus, using only `privacyplease.client`. The notebook has no key, nor does the machine that stores the records.
#
# `make notebook` simulates the campus, runs `docs/notebook.py` and saves its output. To run it against your own proxy,
# set `PRIVACYPLEASE_PROXY` and `PRIVACYPLEASE_CERTIFICATES`, and change the week.

# %%
import os
from datetime import UTC, datetime, timedelta

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.dates import DateFormatter

from privacyplease.client import Client

client = Client(os.environ["PRIVACYPLEASE_PROXY"], certificates=os.environ["PRIVACYPLEASE_CERTIFICATES"])
week = datetime(2024, 9, 30, tzinfo=UTC), datetime(2024, 10, 7, tzinfo=UTC)
tuesday = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)

print(f"{client.count(*week):,} devices in the week, {client.count(*tuesday):,} of them on Tuesday")

# %% [markdown]
# ## When is it full?
#
# Distinct devices in each half hour. `to_pandas` returns a frame whose times have a time zone.

# %%
occupancy = client.occupancy(*week, timedelta(minutes=30))
series = occupancy.to_pandas().set_index("at")["distinct_devices"]

figure, axes = plt.subplots(figsize=(9, 2.6))
axes.fill_between(series.index, series, step="post", alpha=0.3)
axes.step(series.index, series, where="post")
axes.set(ylabel="distinct devices", xlim=week, ylim=(0, 1.15 * occupancy.peak.distinct_devices))
axes.xaxis.set_major_formatter(DateFormatter("%a %d %b"))
axes.annotate(f" peak: {occupancy.peak.distinct_devices}", (occupancy.peak.at, occupancy.peak.distinct_devices))
plt.show()

# %% [markdown]
# The same as a weekly grid: a row per day, a column per hour.

# %%
hours = client.occupancy(*week, timedelta(hours=1)).to_pandas()
grid = hours.pivot_table("distinct_devices", hours["at"].dt.day_of_week, hours["at"].dt.hour)

figure, axes = plt.subplots(figsize=(9, 2.2))
image = axes.imshow(grid, aspect="auto", cmap="viridis")
axes.set(xlabel="hour, UTC", yticks=range(len(grid)), yticklabels=["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
figure.colorbar(image, label="distinct devices")
plt.show()

# %% [markdown]
# ## Where?
#
# Records say where each place is. The first two parts of that location are the building; a device counts once in each
# building where it was. This time in polars.

# %%
places = client.list_places(*tuesday)
buildings = client.count_by_place(*tuesday, groups=places.groups(depth=2)).to_polars().sort("distinct_devices")

figure, axes = plt.subplots(figsize=(9, 2.2))
axes.barh(buildings["place"].str.strip_prefix("Campus > "), buildings["distinct_devices"])
axes.set(xlabel="distinct devices on Tuesday")
plt.show()

# %% [markdown]
# ## How long do people stay?

# %%
bounds = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240)]
dwell = client.dwell(*tuesday, bounds=bounds, look_back=timedelta(days=1))
classes = dwell.to_polars().with_columns(minutes=pl.col("at_least").dt.total_minutes())

figure, axes = plt.subplots(figsize=(9, 2.2))
axes.bar(classes["minutes"].cast(pl.String) + "+", classes["sessions"])
axes.set(xlabel="minutes", ylabel="sessions")
plt.show()
print(f"half of the sessions last no longer than {dwell.median}")
print(f"{dwell.returning_devices} devices had been there on Monday, {dwell.new_devices} had not")

# %% [markdown]
# ## What did the storage server see of it?
#
# Tags and ciphertext. The tags depend only on the time range: they are the same for every place.

# %%
busiest = client.count_by_place(*tuesday).places[0]
seen = client.explain(tuesday[0], tuesday[1], place=busiest)
print(f"{seen.tags} tags went there, {seen.cells} cells came back: {seen.bytes / 2**20:.2f} MiB")
print(f"{seen.records_opened:,} records were opened, {seen.records_kept:,} belong to the answer: {seen.answer} devices")
for cell in seen.first_cells[:3]:
    print(cell.tag.hex(), cell.head[:20].hex() + "…", cell.size, "bytes")

client.close()
