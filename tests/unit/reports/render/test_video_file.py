"""Films: every picture is in them, in its place, and there is none that is cut short."""

import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest

from lander.protocol.errors import LanderError, UsageError
from lander.reports.render.video_file import grid, write_film
from tests.support.video_reading import read_video


def plain(grey, size=(32, 48)):
    return np.full((*size, 3), grey, np.uint8)


def brightness(path):
    """The size of a film, (rows, columns), and how bright each of its pictures is."""
    about, pictures = read_video(path)
    return about["size"][::-1], [round(float(picture.mean())) for picture in pictures]


def near(found, wanted):
    return len(found) == len(wanted) and all(abs(one - other) <= 2 for one, other in zip(found, wanted, strict=True))


def test_a_film_has_every_picture_in_its_place(tmp_path):
    greys = [0, 50, 100, 150, 200, 250]
    assert write_film(tmp_path / "new" / "film.mp4", map(plain, greys), 10) == 6
    size, found = brightness(tmp_path / "new" / "film.mp4")
    assert size == (32, 48)
    assert near(found, greys)
    assert near(found, [*greys[1:], 250]) is False


def test_the_same_pictures_give_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        write_film(tmp_path / f"{name}.mp4", (plain(grey) for grey in range(40)), 12.5)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "other.mp4").read_bytes()


@pytest.mark.parametrize(("size", "limits", "wanted"), [((31, 51), {}, (32, 52)), ((30, 200), {"width": 100}, (16, 100))])
def test_its_size_is_even_and_its_width_limited(tmp_path, size, limits, wanted):
    write_film(tmp_path / "film.mp4", [plain(9, size)] * 3, 10, **limits)
    assert brightness(tmp_path / "film.mp4")[0] == wanted


def test_a_picture_of_another_size_is_fitted(tmp_path):
    write_film(tmp_path / "film.mp4", [plain(60), plain(60, (64, 20)), plain(60, (8, 90))], 10)
    assert near(brightness(tmp_path / "film.mp4")[1], [60, 60, 60])


def test_what_fails_on_the_way_leaves_nothing_and_spares_what_was_there(tmp_path):
    def breaking():
        yield from map(plain, range(5))
        raise LanderError("the engine fell off")

    write_film(tmp_path / "film.mp4", [plain(1)], 10)
    before = (tmp_path / "film.mp4").read_bytes()
    with pytest.raises(LanderError, match="the engine fell off"):
        write_film(tmp_path / "film.mp4", breaking(), 10)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_bytes() == before


def test_a_policy_that_fails_is_not_blamed_on_ffmpeg(tmp_path):
    """Negative control: the same exception out of ffmpeg is told as one of ffmpeg, in the tests of `lander-ctl replay`."""

    def failing():
        yield from map(plain, range(5))
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        write_film(tmp_path / "film.mp4", failing(), 10)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_cleared_by_the_next_film_of_that_name_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [".film.1.mp4", ".film..mp4", f".other.{gone.pid}.mp4", f".film.{gone.pid}.avi", f"film.{gone.pid}.mp4"]
    for name in (f".film.{gone.pid}.mp4", *kept):
        (tmp_path / name).write_text("half a film")
    write_film(tmp_path / "film.mp4", [plain(1)] * 3, 10)
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", *kept}


def test_a_film_that_lacks_a_picture_is_not_kept(tmp_path, monkeypatch):
    """As where the disk is full, which ffmpeg tells nobody."""
    monkeypatch.setattr(imageio_ffmpeg, "count_frames_and_secs", lambda path: (2, 0.2))
    with pytest.raises(LanderError, match=r"film\.mp4: 2 of 3 frames were encoded; is there room on the disk\?"):
        write_film(tmp_path / "film.mp4", [plain(1)] * 3, 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio does not close the broken pipe
def test_an_ffmpeg_that_does_not_encode_is_told_in_one_line(tmp_path, monkeypatch):
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
    with pytest.raises(LanderError, match=r"^[^\n]*film\.mp4: [^\n]*$"):
        write_film(tmp_path / "film.mp4", [plain(1)] * 300, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_film_is_an_mp4(tmp_path):
    with pytest.raises(UsageError, match=r"film\.webm: must end with \.mp4"):
        write_film(tmp_path / "film.webm", [plain(1)], 10)


def test_films_side_by_side_are_each_in_their_place_and_what_is_over_stays(tmp_path):
    moments = list(grid({"short": map(plain, (10, 20)), "long": map(plain, (30, 40, 50)), "wide": [plain(60, (16, 20))]}))
    assert len(moments) == 3
    height, width = moments[0].shape[0] // 2, moments[0].shape[1] // 2
    middle = height - 20
    shown = [
        [int(moment[row, column, 0]) for row in (middle, height + middle) for column in (5, width + 5)] for moment in moments
    ]
    assert shown == [[10, 30, 60, 210], [20, 40, 60, 210], [20, 50, 60, 210]]


def test_a_caption_names_what_is_under_it():
    """Dark on light, and another one for another film."""
    first, second = (next(grid({text: [plain(0)], "other": [plain(0)]}))[:22, :48] for text in ("one", "two"))
    assert first.min() < 100 < first.max()
    assert not np.array_equal(first, second)


def test_one_film_alone_is_as_it_is():
    (only,) = grid({"alone": [plain(7)]})
    assert np.array_equal(only, plain(7))


def test_browsers_can_play_it(tmp_path):
    write_film(tmp_path / "film.mp4", [plain(1)] * 4, 25)
    about, pictures = read_video(tmp_path / "film.mp4")
    assert (about["fps"], about["codec"], about["size"], len(pictures)) == (25.0, "h264", (48, 32), 4)
    assert about["pix_fmt"].startswith("yuv420p")
    content = (tmp_path / "film.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # it can begin before all of it is there
