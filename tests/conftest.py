"""Options and fixtures that every room's tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code; and one commit passes or fails, whenever it is
# tested.  Other examples than always are tried by --hypothesis-profile=explore.
settings.register_profile("explore", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shared-data",
        metavar="DIR",
        help="folder with published data (fds/ and others); default: $TD_GYM_SHARED_DATA, then ../shared/data",
    )


@pytest.fixture(scope="session")
def shared_data(pytestconfig: pytest.Config) -> Path:
    """Return the folder of published data sets, which are not part of this repository."""
    named = pytestconfig.getoption("--shared-data") or os.environ.get("TD_GYM_SHARED_DATA")
    folder = Path(named) if named else pytestconfig.rootpath.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no published data at {folder}: name its folder with --shared-data or TD_GYM_SHARED_DATA")
    return folder
