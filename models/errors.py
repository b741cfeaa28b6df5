"""The tree of errors, independent of HTTP; `app/problems.py` gives each class its status."""


class KaoError(Exception):
    """Base of the errors that a user or operator can correct; the text says how."""


class InvalidSeed(KaoError):
    """A seed that is not valid Unicode, or longer than 4,096 bytes of UTF-8."""


class UnknownPreset(KaoError):
    """A preset that does not exist."""

    def __init__(self, name: str, presets: list[str]) -> None:
        super().__init__(f"There is no preset {name!r}. Choose one of: {', '.join(presets)}.")


class InvalidRecipe(KaoError):
    """Recipe fields that are unknown, out of range, or do not fit together."""

    def __init__(self, problems: list[dict[str, str]]) -> None:
        self.problems = problems
        text = "; ".join(f"{item['field']}: {item['problem']}" for item in problems)
        super().__init__(f"The recipe cannot be used: {text}.")


class UnknownRun(KaoError):
    """A run that does not exist."""

    def __init__(self, run: str) -> None:
        super().__init__(f"There is no run {run!r}.")


class ForbiddenMove(KaoError):
    """A transition that the run's state does not allow."""


class StaleFence(KaoError):
    """A write by a worker that lost its lease."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"Run {run} now belongs to another attempt; this attempt can no longer write."
        )


class UnknownModel(KaoError):
    """A model name that is neither an alias, a digest nor a unique prefix of one."""


class BadBundle(KaoError):
    """A bundle whose digest, shapes, numbers, graphs or card are invalid."""


class LostTraits(KaoError):
    """A promotion that would break URLs which use a trait."""

    def __init__(self, traits: list[str]) -> None:
        super().__init__(
            f"This model lacks traits of the current default: {', '.join(traits)}. URLs that use "
            "them would return errors; force the promotion to accept that."
        )


class NoCritic(KaoError):
    """A request for the best of several faces to a model without a critic."""


class NoStyles(KaoError):
    """A request for styles to a model without a mapping network."""


class NoTrainingHistory(KaoError):
    """A request for an age to a model that kept no training checkpoints."""


class DatasetError(KaoError):
    """A dataset that cannot be used; the text says why and what to do."""


class UnknownDataset(KaoError):
    """A dataset that does not exist, or, with a `problem`, does not have what was asked for."""

    def __init__(self, name: str, problem: str | None = None) -> None:
        super().__init__(problem or f"There is no dataset {name!r}; `starter` always exists.")


class DatasetExists(KaoError):
    """An upload under the name of another dataset."""


class DatasetInUse(KaoError):
    """A dataset that a queued or running run needs."""


class TooLarge(KaoError):
    """An upload above a limit or quota."""


class DiskFull(KaoError):
    """An upload that does not fit on the disk."""


class UnusableDatabase(KaoError):
    """A database that this version of Kao cannot use."""


class LostDatabase(UnusableDatabase):
    """An empty database beside a store with published models."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"The database is empty, but the store has {count} published "
            f"{'model' if count == 1 else 'models'}. Restore a backup, or let DATABASE_URL or "
            "KAO_HOME name the right database; `kao models adopt` registers the models anew."
        )


class NewerDatabase(UnusableDatabase):
    """A database of a newer version of Kao."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database was written by a newer version of Kao (revision {revision[:20]}). "
            "Install that version, or restore a backup of this one."
        )


class TooLargeToDraw(KaoError):
    """A picture that needs more memory than this server may use for drawing."""

    def __init__(self, need: int, limit: int) -> None:
        super().__init__(
            f"The picture needs about {need >> 20:,} MiB of memory, and this server has "
            f"{limit >> 20:,} MiB for drawing. Ask for a smaller size, fewer faces or PNG."
        )


class NotReady(KaoError):
    """No verified model serves yet."""


class Overloaded(KaoError):
    """The bounded queue is full."""


class StorageUnreachable(KaoError):
    """The bucket that STORAGE_URL names did not answer, or refused a request."""


class QueueRefuses(KaoError):
    """The queue refuses writes: its disk or memory is full, or it is a replica."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The queue refuses writes: {reason}. Nothing was started. Free disk space or memory "
            "of the queue, or set REDIS_URL to the primary, then try again."
        )


class TrainingNotInstalled(KaoError):
    """No worker of this machine can train, because PyTorch is missing."""

    def __init__(self) -> None:
        super().__init__(
            "Training is not installed here: the packages of the extra `worker` are missing. Run "
            "`pip install 'kao[worker]'` where Kao is installed, and start it again; faces are "
            "drawn without it."
        )


class UnknownWebhook(KaoError):
    """There is no such webhook, or no such delivery."""


class LimitReached(KaoError):
    """One more webhook, key, dataset or waiting run than a server keeps; the text says which."""


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
