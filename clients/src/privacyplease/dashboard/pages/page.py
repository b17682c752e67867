"""The description of a page."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint


@dataclass(frozen=True)
class DashboardPage:
    """A page of the dashboard. Its main view is `page` of its blueprint.

    Attributes:
        blueprint: Its views.
        title: Its name in the navigation.
        roles: The roles of which a user needs at least one.
    """

    blueprint: Blueprint
    title: str
    roles: frozenset[str]

    @property
    def endpoint(self) -> str:
        """The endpoint of its main view, for `url_for`."""
        return f"{self.blueprint.name}.page"
