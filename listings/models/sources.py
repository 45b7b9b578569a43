"""Where a listing's containers come from when nobody uploads them, and the secrets that this takes."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from listings import sealing
from listings.models.base import Row
from listings.models.blobs import Upload
from listings.models.listings import Listing, SourceKind
from listings.models.teams import Team


class CredentialKind(models.TextChoices):
    TOKEN = "token", "Access token"
    SSH_KEY = "ssh_key", "Deploy key"
    REGISTRY = "registry", "Registry password"


class Credential(Row):
    """A secret of a team for one host. Write-only: it is sealed at rest and no page shows it again.

    ``host`` is ``name`` or ``name:port``; the secret is never sent to another. ``username`` goes with a token or a
    registry password. ``public_key`` is what a code host is given of a deploy key; ``known_hosts`` the host's own keys,
    in OpenSSH's format, learned on first use.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=16, choices=CredentialKind)
    name = models.CharField(max_length=80)
    host = models.CharField(max_length=255)
    username = models.CharField(max_length=255, blank=True)
    sealed = models.TextField()
    public_key = models.TextField(blank=True)
    known_hosts = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    rotated_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("team", "name"), name="credential_name_unique_in_team"),
            models.CheckConstraint(condition=models.Q(kind__in=CredentialKind.values), name="credential_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.host})"

    def seal(self, secret: str) -> None:
        """Keep ``secret`` in this row; the caller saves."""
        self.sealed = sealing.seal(secret, str(self.pk))

    def reveal(self) -> str:
        """The secret, for the worker that uses it. Raises ProblemError SECRET-UNREADABLE."""
        return sealing.reveal(self.sealed, str(self.pk))


class StatusProvider(models.TextChoices):
    """A code host whose commit-status API is spoken."""

    NONE = "", "Do not report"
    GITHUB = "github", "GitHub"
    GITLAB = "gitlab", "GitLab"
    BITBUCKET = "bitbucket", "Bitbucket"
    GITEA = "gitea", "Gitea"


class ListingSource(Row):
    """What webhooks build, and what the form for a new version starts from: a Git repository or an image.

    ``git_ref`` is the branch or tag that people build by default. ``directory`` is where in the repository the build
    context lies. ``bundle`` (spec, samples, artifact) goes with an image; ``artifact`` with either, when it is not in
    the source. ``status_url`` is the code host's API where it is not at its usual place.
    """

    listing = models.OneToOneField(Listing, on_delete=models.CASCADE, related_name="standing_source")
    kind = models.CharField(max_length=8, choices=SourceKind)
    git_url = models.CharField(max_length=500, blank=True)
    git_ref = models.CharField(max_length=255, blank=True)
    directory = models.CharField(max_length=255, blank=True)
    image_reference = models.CharField(max_length=500, blank=True)
    bundle = models.ForeignKey(Upload, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    artifact = models.ForeignKey(Upload, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    credential = models.ForeignKey(Credential, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    status_provider = models.CharField(max_length=16, choices=StatusProvider, blank=True, default=StatusProvider.NONE)
    status_url = models.CharField(max_length=500, blank=True)
    status_credential = models.ForeignKey(
        Credential, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind=SourceKind.GIT) & ~models.Q(git_url="")
                | models.Q(kind=SourceKind.IMAGE, bundle__isnull=False) & ~models.Q(image_reference=""),
                name="standing_source_is_complete",
            )
        ]

    def __str__(self) -> str:
        return self.git_url or self.image_reference
