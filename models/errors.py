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


class NotReady(KaoError):
    """No verified model serves yet."""


class Overloaded(KaoError):
    """The bounded queue is full."""


class QueueUnreachable(KaoError):
    """Redis did not answer."""
