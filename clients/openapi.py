"""Prints the OpenAPI document, from which `make clients` generates TypeScript's types."""

import json
import tempfile
from pathlib import Path

from app.main import create_app
from models.settings import Settings


def main() -> None:
    """Print the document of an app with the default settings."""
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(create_app(Settings(home=Path(home))).openapi()))


if __name__ == "__main__":
    main()
