"""Models on the Hugging Face Hub: a repository has a bundle's files, and a README from its card.

HF_ENDPOINT names another server with the same interface, HF_TOKEN or `hf auth login` the account;
huggingface_hub reads them.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from models import bundle
from models.bundle.readme import readme
from models.errors import KaoError
from models.registry import Registry
from models.storage import atomic

if TYPE_CHECKING:
    from huggingface_hub import HfApi

README = "README.md"


def connect() -> "HfApi":
    """The Hub. Raises KaoError where the package is not installed."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise KaoError("The Hub needs a package: pip install 'kao[hub]'")
    from huggingface_hub import HfApi

    return HfApi(library_name="kao")


def push(
    api: "HfApi", registry: Registry, name: str, repository: str, private: bool = False
) -> str:
    """Verify a model and commit it to a repository, which is made if needed; the commit's URL.

    Files of an earlier model that this one lacks are deleted. Raises KaoError.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    version = registry.resolve(name)
    card = registry.load(version).card
    paths = sorted(registry.folder(version).iterdir())
    page = readme(card, version, repository).encode()
    with _explain(repository):
        api.create_repo(repository, private=private, exist_ok=True)
        obsolete_names = set(api.list_repo_files(repository)) & bundle.FILES
        obsolete_names -= {path.name for path in paths}
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(path.name, path) for path in paths),
                CommitOperationAdd(README, page),
                *(CommitOperationDelete(each) for each in sorted(obsolete_names)),
            ],
            commit_message=f"Model {version[:12]}",
        )
    return str(commit.commit_url)


def pull(api: "HfApi", registry: Registry, repository: str, revision: str | None = None) -> str:
    """Download a repository's model, verify and register it; its version.

    A child process with limits verifies, as for every model from elsewhere. Raises KaoError.
    """
    with (
        atomic.scratch_folder(registry.bundles) as downloads,
        atomic.scratch_folder(registry.bundles) as folder,
    ):
        with _explain(repository):
            info = api.model_info(repository, revision=revision, files_metadata=True)
            sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
            names = sorted(sizes.keys() & bundle.FILES)
            _check(repository, {name: sizes[name] for name in names})
            for name in names:
                # The commit of the listing, so that all files are of one version.
                api.hf_hub_download(repository, name, revision=info.sha, local_dir=downloads)
        for name in names:  # the client's own files stay behind
            (downloads / name).rename(folder / name)
        return registry.add_foreign(folder)


def _check(repository: str, sizes: dict[str, int]) -> None:
    """Raises KaoError unless files of these sizes can be a model."""
    if missing_names := bundle.REQUIRED_FILES - sizes.keys():
        missing_list = ", ".join(sorted(missing_names))
        raise KaoError(f"{repository} has no model of Kao: it lacks {missing_list}.")
    for name, size in sizes.items():
        if size > bundle.LARGEST_FILE:
            raise KaoError(f"{repository}: {name} is larger than {bundle.LARGEST_FILE} bytes.")


@contextmanager
def _explain(repository: str) -> Iterator[None]:
    """Turn the client's errors into KaoError with a sentence."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.RepositoryNotFoundError:
        raise KaoError(
            f"The Hub has no repository {repository}, or not for this account: set HF_TOKEN, or "
            "log in with `hf auth login`."
        ) from None
    except (errors.HfHubHTTPError, errors.HFValidationError) as error:
        raise KaoError(f"{repository}: {str(error).strip().splitlines()[-1]}") from None
    except RuntimeError as error:  # from an upload; its cause is the reason
        raise KaoError(f"{repository}: {error} {error.__cause__ or ''}".strip()) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx2.HTTPError) as error:
        raise KaoError(f"The Hub cannot be reached: {error}") from None
