"""The inference run: `serve` as SageMaker starts it, its probes, and its stop."""
