"""What a page is."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint


@dataclass(frozen=True)
class Page:
    """A page: where it is, what it is called, and which roles see it; any one of them will do.

    Its first view is `page` of its blueprint.
    """

    blueprint: Blueprint
    title: str
    roles: frozenset[str]

    @property
    def endpoint(self) -> str:
        """For `url_for`."""
        return f"{self.blueprint.name}.page"
