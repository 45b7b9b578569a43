"""Speed, as ratios side by side in one run. `make bench` runs these; no test depends on a time."""
