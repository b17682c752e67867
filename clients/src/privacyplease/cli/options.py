"""Options that commands share."""

from typing import Annotated

import typer

from privacyplease.cli.completion import dataset_names, place_names

From = Annotated[
    str,
    typer.Option("--from", metavar="T", help="First instant: 2024-10-01, 2024-10-01T08:00+09:00, -2h, -15m, -3d, now."),
]
To = Annotated[
    str,
    typer.Option("--to", metavar="T", help="Last instant, inclusive. A date without a time is its first instant."),
]
Zone = Annotated[
    str,
    typer.Option("--timezone", metavar="Z", help="Zone of times given without one and of times shown: Europe/Berlin."),
]
Place = Annotated[
    str | None, typer.Option("--place", metavar="P", help="Only at this place.", autocompletion=place_names)
]
Step = Annotated[str, typer.Option("--step", metavar="DURATION", help="Length of a step: 30s, 15m, 1h, 1d.")]
Dataset = Annotated[
    str, typer.Option("--dataset", metavar="NAME", help="The data set to query.", autocompletion=dataset_names)
]
OnlyDataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Only this data set.")]
Purpose = Annotated[
    str,
    typer.Option(
        "--purpose", envvar="PRIVACYPLEASE_PURPOSE", metavar="TEXT", help="Why you ask; recorded in the audit log."
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="T", help="Use this time as now, e.g. 2024-10-01T08:00Z, to look at old records."),
]
Speed = Annotated[
    float,
    typer.Option("--speed", metavar="N", min=0, help="How fast time passes after --as-of: 60 is an hour a minute."),
]
