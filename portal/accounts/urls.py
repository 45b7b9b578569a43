from __future__ import annotations

from django.urls import include, path

from portal.accounts import views

urlpatterns = [
    path("account/profile/", views.profile, name="account_profile"),
    path("account/theme/", views.theme, name="account_theme"),
    path("account/", include("allauth.urls")),
    path("outbox/", views.outbox, name="outbox"),
]
