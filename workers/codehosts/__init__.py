"""Commit statuses, as each code host wants them."""
