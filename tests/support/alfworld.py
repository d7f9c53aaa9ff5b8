"""ALFWorld for tests: twelve of its games, which come with the repository, or all of them where they are."""

from __future__ import annotations

import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest

GAMES = Path(__file__).parent.parent / "fixtures" / "alfworld" / "games.tar.xz"


@pytest.fixture(scope="session")
def twelve_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds json_2.1.1."""
    folder = tmp_path_factory.mktemp("alfworld")
    with tarfile.open(GAMES) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def alfworld(twelve_games: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The twelve games are ALFWorld's data; skipped where TextWorld is not installed (`make alfworld`)."""
    if not all(map(find_spec, ("textworld", "fast_downward"))):
        pytest.skip("make alfworld first")
    monkeypatch.setenv("ALFWORLD_DATA", str(twelve_games))
    return twelve_games


@pytest.fixture
def all_of_alfworld() -> None:
    """ALFWorld's own data, where ALFWORLD_DATA or alfworld-download has put them."""
    from environments.games.game import MissingData
    from environments.worlds.alfworld.files import game_files
    from environments.worlds.alfworld.game import require_textworld

    try:
        require_textworld()
        game_files("valid_unseen")
    except MissingData as error:
        pytest.skip(str(error))
