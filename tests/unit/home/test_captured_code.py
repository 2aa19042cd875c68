"""Archives of code: equal files give equal bytes, and what is imported from is what the name says."""

import contextlib
import hashlib
import io
import subprocess
import sys
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.home.artifacts import write_artifact
from lander.home.captured_code import pack, pack_files, unpacked

FILES = {"0/windy.py": b"x = 1\n", "0/package/__init__.py": b"", "1/data.bin": bytes(range(256))}
PARTS = st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,3})?", fullmatch=True)


@given(st.dictionaries(PARTS, st.binary(max_size=600), max_size=6), st.randoms())
def test_equal_files_have_equal_archives(files, random):
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert pack(dict(shuffled)) == pack(files)
    with tarfile.open(fileobj=io.BytesIO(pack(files))) as archive:
        assert {member.name: archive.extractfile(member).read() for member in archive} == files


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "change",
    [
        lambda directory: None,
        lambda directory: (directory / "0" / "windy.py").write_text("x = 2\n"),
        lambda directory: (directory / "0" / "windy.py").unlink(),
        lambda directory: (directory / "0" / "gymnasium.py").write_text("raise SystemExit"),
        lambda directory: (directory / "0" / "__pycache__").mkdir() or (directory / "0/__pycache__/windy.pyc").write_text(""),
    ],
    ids=["nothing", "a file", "a missing file", "another file", "compiled code"],
)
def test_what_was_changed_there_is_unpacked_again(tmp_path, change):
    sha256 = write_artifact(tmp_path, pack(FILES))
    directory = unpacked(tmp_path, sha256)
    assert contents(directory) == FILES
    change(directory)
    assert contents(unpacked(tmp_path, sha256)) == FILES
    assert [path.name for path in directory.parent.iterdir()] == [sha256], "nothing is left beside"


def test_a_damaged_or_missing_archive_is_refused(tmp_path):
    sha256 = write_artifact(tmp_path, pack(FILES))
    (path,) = tmp_path.glob("artifacts/??/*")
    path.write_bytes(pack(FILES | {"0/windy.py": b"x = 3\n"}))
    with pytest.raises(ValueError, match="is damaged"):
        unpacked(tmp_path, sha256)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        unpacked(tmp_path, sha256)


def test_a_path_that_leads_outside_is_not_unpacked(tmp_path):
    archive = pack({"../../outside.py": b""})
    sha256 = write_artifact(tmp_path, archive)
    assert hashlib.sha256(archive).hexdigest() == sha256
    with pytest.raises(ValueError, match="is no archive of code"):
        unpacked(tmp_path, sha256)
    assert not list(tmp_path.rglob("outside.py"))


def test_a_program_stays_executable(tmp_path):
    program = tmp_path / "simulator"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o750)
    (tmp_path / "data").touch()
    archive = pack_files({"0/simulator": program, "0/data": tmp_path / "data"})
    directory = unpacked(tmp_path / "home", write_artifact(tmp_path / "home", archive))
    assert [(directory / "0" / name).stat().st_mode & 0o777 for name in ("simulator", "data")] == [0o755, 0o644]
    assert unpacked(tmp_path / "home", hashlib.sha256(archive).hexdigest()) == directory


UNPACK = """
import sys
from pathlib import Path
from lander.home.captured_code import unpacked
unpacked(Path(sys.argv[1]), sys.argv[2])
"""


def test_many_unpack_at_once_and_none_moves_it_away(tmp_path):
    sha256 = write_artifact(tmp_path, pack(FILES | {f"0/more/{number}.py": b"x" * 1000 for number in range(300)}))
    others = [subprocess.Popen([sys.executable, "-c", UNPACK, tmp_path, sha256]) for _ in range(4)]
    inodes = set()
    while any(other.poll() is None for other in others):
        with contextlib.suppress(FileNotFoundError):
            inodes.add((tmp_path / "code" / sha256).stat().st_ino)
    assert [other.returncode for other in others] == [0] * 4
    assert len(inodes) == 1, "whoever has it imports from it"
