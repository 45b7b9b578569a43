"""The training run: `train` as SageMaker starts it, and what it must leave behind."""
