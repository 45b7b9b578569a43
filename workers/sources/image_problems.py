"""What a seller's registry answered, as a problem of the catalogue; nothing it says can bring a password to a page."""

from __future__ import annotations

from dataclasses import dataclass

from listings.addresses import ImageReference
from listings.models import Credential
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.logs.redact import Redactor
from workers.registries import RegistryError
from workers.registries.outside import OutsideClient, Refused, SignInRefused, TlsFailed

#: Tags shown beside one that is not there.
TAGS = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, of whom and as whom. ``pinned``: ``reference`` holds the digest that an earlier run found."""

    reference: ImageReference
    redactor: Redactor
    credential: Credential | None = None
    pinned: bool = False

    def problem(
        self, code: str, error: Exception | None = None, more: tuple[Evidence, ...] = (), **params: object
    ) -> ProblemError:
        """``error`` becomes the evidence, in the registry's own words; ``more`` stands after it."""
        said = self.redactor.clean(str(error))[:1000] if error else ""
        evidence = ((Evidence(said, self.reference.registry),) if said else ()) + more
        return ProblemError(
            f"SOURCE-IMAGE-{code}", evidence=evidence, host=self.reference.registry,
            repository=self.reference.repository, reference=str(self.reference),
            **{key: self.redactor.clean(str(value)) for key, value in params.items()},
        )  # fmt: skip

    def explain(self, error: RegistryError, client: OutsideClient | None = None) -> ProblemError:
        """Any refusal of the registry, but for what is missing there (see ``missing``)."""
        if isinstance(error, TlsFailed):
            return self.problem("PLAIN-HTTP" if error.plain else "TLS", error, detail=error)
        if isinstance(error, Refused):
            if error.code == "REALM":
                return self.problem("SIGN-IN-ELSEWHERE", error, realm=error)
            return self.problem("REDIRECTS", error, detail=error)
        if error.status == 0:
            detail = str(error).removeprefix(f"{self.reference.api_host} does not answer: ")
            return self.problem("UNREACHABLE", error, detail=detail)
        if error.status in (401, 403):
            return self._refused(error, client)
        if error.status == 429:
            return self.problem("RATE-LIMIT", error, detail=error)
        if error.code == "DIGEST":
            return self.problem("BROKEN", error, what="a manifest or configuration", detail=error)
        return self.problem("REGISTRY", error, detail=error)

    def _refused(self, error: RegistryError, client: OutsideClient | None) -> ProblemError:
        if self.credential is None:
            return self.problem("PRIVATE", error)
        known = client is not None and client.has_token and not isinstance(error, SignInRefused)
        if error.status == 401 and not known:
            return self.problem("CREDENTIALS", error, credential=self.credential.name)
        return self.problem("DENIED", error, account=self.credential.username)

    def missing(self, client: OutsideClient, error: RegistryError) -> ProblemError:
        """Whether it is the repository, the tag or the digest that is not there."""
        if error.code == "NAME_UNKNOWN":
            return self.problem("NOT-FOUND", error)
        try:
            tags = client.tags(self.reference.repository, TAGS)
        except RegistryError as second:
            # A registry may keep its tags to itself and still give out what they name.
            return self.problem("NOT-FOUND", error) if second.status == 404 else self._without_tags(error)
        if self.reference.digest or not tags:
            return self._without_tags(error)
        return self.problem("NO-TAG", error, (Evidence(", ".join(tags), "tags that exist"),), tag=self.reference.tag)

    def _without_tags(self, error: RegistryError) -> ProblemError:
        if self.reference.digest:
            pinned = ", which is what the version stands for" if self.pinned else ""
            return self.problem("NO-DIGEST", error, digest=self.reference.digest, pinned=pinned)
        return self.problem("NO-TAG", error, tag=self.reference.tag)
