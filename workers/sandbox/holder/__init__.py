"""The holder's program: it owns a network namespace that leads nowhere, probes the container under test and
records every call that container makes. Standard library only; it runs inside the holder's image, where nothing
of Slipway's is installed, so it imports nothing but itself."""
