"""Problems of this area: testing."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

PROBLEMS: tuple[Problem, ...] = ()
