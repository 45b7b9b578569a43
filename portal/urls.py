"""The site's addresses: accounts, the domain, and what operators ask."""

from __future__ import annotations

from django.urls import include, path

from portal import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.exposition, name="metrics"),
    path("", include("portal.accounts.urls")),
    path("", include("listings.urls")),
]

handler500 = "portal.errors.server_error"
