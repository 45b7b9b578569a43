"""Everything that talks to AWS. The endpoint is a setting: the same code talks to AWS or to the stand-in."""
