"""The twin's report: what the steps of a run established, as one document with a published schema. Pure."""
