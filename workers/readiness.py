"""What a worker must have around it before it takes work, asked again and again.

An engine worker needs an engine that answers and can limit builds, the holder's image, the staging registry, the
programs that steps run, and free disk. Nothing here raises: what is missing is in the answer, and recovers by itself.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone
from docker.errors import DockerException
from requests.exceptions import ConnectionError as RequestConnectionError
from requests.exceptions import Timeout

from listings.about import VERSION
from listings.problems import ProblemError
from listings.reports import ProblemReport
from listings.services import planning
from workers import conditions, tally
from workers import engine as engines
from workers.sandbox.holder_image import ensure_holder_image
from workers.selftest import SelfTestReport, prove_build_limits

logger = logging.getLogger(__name__)

PING_SECONDS = 5
#: Of one call to an engine that was prepared before; the first time, images are built.
PREPARED_SECONDS, UNPREPARED_SECONDS = 20, 60
#: A self-test that failed takes ten seconds of the engine's time; it is not repeated at each round.
FAILED_PROOF_SECONDS = 600.0


class Readiness:
    """Asks for one worker process. ``queue`` is "engine" or "control"; only the former needs an engine."""

    def __init__(self, queue: str) -> None:
        self._needs_engine = queue == planning.ENGINE
        self._failed_proof: tuple[float, SelfTestReport] | None = None
        self._prepared: dict[str, Any] = {}
        self._codes: list[str] | None = None

    def engine_problem(self) -> ProblemReport | None:
        """Why the engine does not answer a ping within a few seconds; None if it does, or is not needed."""
        return _ping() if self._needs_engine else None

    def ask(self, silent: ProblemReport | None) -> dict[str, Any]:
        """All conditions: ``ready``, the ``problems`` and ``warnings`` as code and params, and facts for admins.

        ``silent`` is what ``engine_problem`` has just said.
        """
        problems: list[ProblemReport] = []
        warnings: list[ProblemReport] = []
        detail: dict[str, Any] = {"slipway": VERSION, "pid": os.getpid(), "host": settings.SLIPWAY.worker_host}
        disk, detail["disk"] = conditions.disk_problem(Path(settings.SLIPWAY.data_dir))
        problems += [disk] if disk else []
        detail["memory_available_bytes"] = conditions.memory_available()
        if self._needs_engine:
            detail |= self._ask_engine(silent, problems, warnings)
            staging = conditions.staging_problem()
            problems += [staging] if staging else []
            detail["staging"] = {"answers": staging is None}
            missing, wished, detail["tools"] = conditions.tools()
            problems, warnings = problems + missing, warnings + wished
            detail["reaped"] = tally.read()
        self._tell(problems)
        return detail | {
            "ready": not problems,
            "problems": [_plain(problem) for problem in problems],
            "warnings": [_plain(warning) for warning in warnings],
            "checked_at": timezone.now().isoformat(),
        }

    def _ask_engine(
        self, silent: ProblemReport | None, problems: list[ProblemReport], warnings: list[ProblemReport]
    ) -> dict[str, Any]:
        if silent is not None:
            problems.append(silent)
            # What was last known of it stays in sight.
            return self._prepared | {"engine_answers": False}
        timeout = PREPARED_SECONDS if self._prepared else UNPREPARED_SECONDS
        known, self._prepared = self._prepared, {}
        try:
            self._prepared = known = self._prepare(timeout, warnings)
        except ProblemError as error:
            problems.append(error.report)
        except Timeout as error:
            # It answers pings, and was prepared before: slow is not gone.
            self._prepared = known
            found = warnings if known else problems
            found.append(ProblemReport("ENGINE-SLOW", {"seconds": str(timeout), "reason": str(error)[:300]}))
        except (RequestConnectionError, ConnectionError) as error:
            # It went away between its ping and these calls.
            problems.append(engines.problem_of(error).report)
        except (DockerException, OSError) as error:
            problems.append(ProblemReport("WORKER-UNPREPARED", {"reason": str(error)[:300]}))
        return known | {"engine_answers": True}

    def _prepare(self, timeout: int, warnings: list[ProblemReport]) -> dict[str, Any]:
        """The holder's image and the proof of limits, made now if they are missing. Builds ask for the proof again."""
        engine = engines.connect(timeout)
        try:
            holder = ensure_holder_image(engine)
            proof = self._proof(engine)
            info = engine.info()
        finally:
            engine.close()
        if not proof.proven:
            warnings.append(ProblemReport("BUILD-LIMITS-UNPROVEN", {"detail": proof.detail[:300]}))
        return {
            "engine": info.get("ServerVersion", ""),
            "engine_disk": conditions.engine_disk(info),
            "cpus": info.get("NCPU", 0),
            "memory_bytes": info.get("MemTotal", 0),
            "holder_image": holder,
            "build_limits": proof.as_json(),
        }

    def _proof(self, engine: engines.Engine) -> SelfTestReport:
        if self._failed_proof is not None and time.monotonic() - self._failed_proof[0] < FAILED_PROOF_SECONDS:
            return self._failed_proof[1]
        proof = prove_build_limits(engine)
        self._failed_proof = None if proof.proven else (time.monotonic(), proof)
        return proof

    def _tell(self, problems: list[ProblemReport]) -> None:
        """One line when something changes, not one each round."""
        codes = [problem.code for problem in problems]
        if codes == self._codes:
            return
        if problems:
            told = "; ".join(f"{problem.code} {problem.params}" for problem in problems)
            logger.warning("this worker takes no work: %s", told)
        elif self._codes is not None:
            logger.info("this worker takes work again")
        self._codes = codes


def _ping() -> ProblemReport | None:
    """Asked once more with more patience where time ran out: an engine may be busy."""
    problem = None
    for seconds in (PING_SECONDS, 2 * PING_SECONDS):
        try:
            engines.connect(timeout=seconds).close()
        except ProblemError as error:
            problem = error.report
            if "timed out" not in str(error.__cause__):
                return problem
        else:
            return None
    return problem


def preparing() -> dict[str, Any]:
    """What a worker says before it has asked for the first time."""
    return {"ready": False, "problems": [_plain(ProblemReport("WORKER-PREPARING"))], "warnings": []}


def _plain(problem: ProblemReport) -> dict[str, Any]:
    return {"code": problem.code, "params": problem.params}
