"""A stand-in for AWS on one port, for the demo and for tests.

moto answers what it covers (S3, STS, IAM, ECR repositories); what it lacks is here: algorithms and model
packages whose validation takes time and can fail, the Marketplace Catalog, and an ECR sign-in that opens a
local registry. Start it with ``python -m workers.aws.standin``.
"""
