"""The wrappers for React and Vue render the element, on a server too."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.node_package import PACKAGE, build_package

pytestmark = pytest.mark.slow  # npm may have to install both

FACES = [
    '<kao-face seed="ada &amp; co" size="64" hair-colour="pink" local=""></kao-face>',
    '<kao-face seed="ada" psi="0.5"></kao-face>',
    '<kao-face seed="ada"></kao-face>',
]


def test_react_and_vue_render_the_element(tmp_path: Path) -> None:
    node = build_package(tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(PACKAGE / "node_modules")
    shutil.copy(Path(__file__).parent / "render.mjs", tmp_path)
    result = subprocess.run(
        [node, "render.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    html = json.loads(result.stdout)
    *faces, styled = html["react"]
    assert faces == FACES
    assert styled == '<kao-face style="margin:4px" title="Ada" class="round" seed="ada"></kao-face>'
    assert html["vue"] == [face.replace('local=""', "local") for face in FACES]
