"""What a run may use and what it used: sizes of instance types, limits, meters."""
