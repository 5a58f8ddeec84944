"""The closed list of reasons why local did not serve."""

from enum import StrEnum


class Reason(StrEnum):
    """Why local did not serve, in the order in which the first objection becomes *the* reason.

    The words are stored: members are appended, never renamed, reordered or removed.
    """

    FRONTIER_FORCED = "frontier-forced"
    ROLE_NOT_ELIGIBLE = "role-not-eligible"
    BUNDLE_ABSENT = "bundle-absent"
    BUNDLE_DISABLED = "bundle-disabled"
    BUNDLE_INTEGRITY = "bundle-integrity"
    BUNDLE_INCOMPATIBLE = "bundle-incompatible"
    BUNDLE_STALE = "bundle-stale"
    QUALITY_BELOW_THRESHOLD = "quality-below-threshold"
    VALIDITY_BELOW_THRESHOLD = "validity-below-threshold"
    COVERAGE_WEAK = "coverage-weak"
    LOCAL_COOLDOWN = "local-cooldown"
    LOCAL_LOAD_FAILED = "local-load-failed"
    LOCAL_ERROR = "local-error"
    LOCAL_TIMEOUT = "local-timeout"
    LOCAL_INVALID_OUTPUT = "local-invalid-output"
    QUALITY_INCONCLUSIVE = "quality-inconclusive"
    SHADOW_ONLY = "shadow-only"
    CANARY_HELD = "canary-held"
    BASE_MISMATCH = "base-mismatch"
    QUALITY_OUTDATED = "quality-outdated"


class FrontierObjection(StrEnum):
    """Why the frontier is not asked, the first that holds; the words are stored as the error of a step that nobody served."""

    FORBIDDEN = "frontier-forbidden"
    OVER_BUDGET = "frontier-over-budget"
    UNAVAILABLE = "frontier-unavailable"


LOCAL_FAILURES: dict[str, Reason] = {
    "load-failed": Reason.LOCAL_LOAD_FAILED,
    "timeout": Reason.LOCAL_TIMEOUT,
    "invalid-output": Reason.LOCAL_INVALID_OUTPUT,
}


def local_failure(error_type: str) -> Reason:
    """Return the reason that a failed local try gives, from the attempt's `error.type`."""
    return LOCAL_FAILURES.get(error_type, Reason.LOCAL_ERROR)
