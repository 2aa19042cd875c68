"""A home under the loosest umask: its directory is its owner's alone, and what its processes write nobody else may change."""

import os
import stat

from tests.support.live_home import started


def test_a_home_made_under_the_loosest_umask_is_its_owners_alone(tmp_path):
    home = tmp_path / "home"
    before = os.umask(0)
    try:
        with started(home):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    made_by_the_cli = {"supervisor.log"}
    loose = {path.name for path in home.rglob("*") if path.stat().st_mode & 0o022}
    assert loose <= made_by_the_cli
