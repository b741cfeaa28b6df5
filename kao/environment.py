"""Variables that are named like settings and are none: most are misspelt."""

import difflib
import re
from collections.abc import Iterable, Iterator

from models.settings import Settings, variable_of

# For compose's own files and for tests.
OTHER_VARIABLES = {
    "KAO_APP_MEMORY",
    "KAO_FAIL_POINT",
    "KAO_HTTP",
    "KAO_HTTPS",
    "KAO_PUBLISH",
    "KAO_SITE",
    "KAO_WORKER_MEMORY",
}
# Kubernetes sets these in the pods beside a Service called `kao`.
KUBERNETES_VARIABLE = re.compile(r"KAO_(.+_)?(SERVICE_(HOST|PORT)(_.+)?|PORT_\d+_.+)")


def explain_unknown(variables: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each variable that begins with KAO_ and is none of Kao's, and a sentence about it."""
    names = {variable_of(name, field) for name, field in Settings.model_fields.items()}
    known = names | {f"{name}_FILE" for name in names} | OTHER_VARIABLES
    for variable in variables:
        name = variable.upper()  # pydantic ignores case as well
        if (
            name.startswith("KAO_")
            and name not in known
            and not KUBERNETES_VARIABLE.fullmatch(name)
        ):
            similar = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
            hint = f"did you mean {similar[0]}?" if similar else "docs/operations.md lists them."
            yield variable, f"{variable} is not a setting and has no effect; {hint}"
