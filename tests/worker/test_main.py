"""The start of a worker."""

import warnings

import pytest
from celery.exceptions import SecurityWarning
from structlog.testing import capture_logs

from worker import main


@pytest.mark.parametrize(("user", "events"), [(0, ["worker.is_root"]), (1000, [])])
def test_a_worker_of_root_says_so_in_its_log_and_not_by_celerys_warning(
    user: int, events: list[str]
) -> None:
    with warnings.catch_warnings(), capture_logs() as lines:
        main._warn_of_root(user)
        warnings.warn(SecurityWarning("use --uid"), stacklevel=1)  # pytest makes warnings errors
    assert [line["event"] for line in lines] == events
