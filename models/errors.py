"""The tree of facts that any room may raise; `app/problems.py` gives each its HTTP answer."""


class KaoError(Exception):
    """Something that the person who asked can mend; its text says how."""


class InvalidSeed(KaoError):
    """A seed that is no text of at most 4,096 bytes of UTF-8."""


class UnknownPreset(KaoError):
    """A preset that does not exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"There is no preset {name!r}. Choose one of: {', '.join(known)}.")


class InvalidRecipe(KaoError):
    """Recipe fields that are unknown, out of range, or do not fit together."""

    def __init__(self, problems: list[dict[str, str]]) -> None:
        self.problems = problems
        told = "; ".join(f"{item['field']}: {item['problem']}" for item in problems)
        super().__init__(f"The recipe cannot be used: {told}.")


class UnknownRun(KaoError):
    """A run that does not exist."""

    def __init__(self, run: str) -> None:
        super().__init__(f"There is no run {run!r}. GET /train lists the runs.")


class ForbiddenMove(KaoError):
    """A run asked to change in a way its state does not allow."""


class StaleFence(KaoError):
    """A worker that lost its lease tried to write."""

    def __init__(self, run: str) -> None:
        super().__init__(f"Run {run} now belongs to another attempt; this one may write no more.")


class UnknownModel(KaoError):
    """A model name that is neither an alias, a digest nor a unique prefix of one."""


class BadBundle(KaoError):
    """A bundle whose digest, shapes, numbers or card do not hold."""


class LostTraits(KaoError):
    """A promotion that would break addresses which ask for a trait."""

    def __init__(self, lost: list[str]) -> None:
        super().__init__(
            f"This model lacks what the served one is asked for: {', '.join(lost)}. Pictures with "
            "it in their address would become errors; force the promotion to accept that."
        )


class Unscored(KaoError):
    """A best face asked of a model without a critic."""


class Unmixable(KaoError):
    """Styles asked of a model that has none."""


class Ungrown(KaoError):
    """An age asked of a model without moments of its training."""


class UnknownDataset(KaoError):
    """A dataset that does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no dataset {name!r}. GET /datasets lists them; "
            "POST /datasets uploads a zip of images; `starter` is always there."
        )


class DatasetExists(KaoError):
    """An upload under a name that another set already has."""


class DatasetInUse(KaoError):
    """A dataset that a waiting or running run still needs."""


class TooLarge(KaoError):
    """A body above a limit, or one that a quota has no room for."""


class DiskFull(KaoError):
    """A body that the disk has no room for."""


class NotReady(KaoError):
    """No verified model serves yet."""


class Overloaded(KaoError):
    """The bounded queue is full."""


class StorageUnreachable(KaoError):
    """The bucket behind STORAGE_URL did not answer, or refused."""


class QueueRefuses(KaoError):
    """The queue answers, and takes nothing: its disk or memory is full, or it is a replica."""

    def __init__(self, told: str) -> None:
        self.headers = {"Retry-After": "30"}  # s; somebody has to make room first
        super().__init__(
            f"The queue takes no writes: {told}. Nothing was started. Make room on its disk or in "
            "its memory, or let REDIS_URL name the primary, then ask again."
        )


class InvalidKey(KaoError):
    """A new key with an invalid name or invalid scopes."""


class LastKey(KaoError):
    """The only active key that manages keys cannot be revoked."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is the last active key with the scope 'keys', without which no other key "
            "could be made. Make another one first."
        )


class UnknownKey(KaoError):
    """A key that does not exist or is revoked."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no active key {id[:40]!r}. `kao keys list` lists the keys.")
