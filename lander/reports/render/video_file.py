"""Films: frames encoded as an MP4 (H.264) that every browser plays, without metadata about time or machine.

The same frames give the same bytes, and a film appears only when it is complete.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, zip_longest
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lander.home.durable_files import clear_abandoned, make_directory, publish, unfinished
from lander.protocol.errors import LanderError, UsageError

Frame = npt.NDArray[np.uint8]
"""A picture of shape [height, width, 3], indexed [row, column, colour]."""
SUFFIX: Final = ".mp4"
WIDEST: Final = 1920
_REPRODUCIBLE: Final = ("-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1")
_CAPTION_HEIGHT: Final = 22
_MARGIN: Final = 4
_GREY: Final = 210


def write_film(path: Path, frames: Iterable[Frame], fps: float, *, width: int = WIDEST) -> int:
    """Encode a film, at most `width` pixels wide, and write it durably; returns its number of frames.

    Raises what `frames` raises, `OSError` if the path cannot be written, `UsageError` for another suffix or a missing ffmpeg,
    and `LanderError` if ffmpeg fails; then no film is written.
    """
    import imageio_ffmpeg

    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: must end with {SUFFIX}, which is what films are")
    rest = iter(frames)
    first = _even(next(rest))
    make_directory(path.parent)
    clear_abandoned(path)
    with unfinished(path) as file:
        file.touch()  # raises a plain OSError for an unwritable path, before ffmpeg reports it in its own way
        fitted = (_fitted(frame, *first.shape[:2]) for frame in chain([first], rest))
        count = _encode(path, file, fitted, _options(first, fps, width))
        with _ffmpeg_errors(path):
            written, _ = imageio_ffmpeg.count_frames_and_secs(file)  # imageio does not pass on ffmpeg's own exit status
        if written != count:
            raise LanderError(f"{path}: {written} of {count} frames were encoded; is there room on the disk?")
        publish(file, path)
    return count


def _encode(path: Path, file: Path, frames: Iterable[Frame], options: Mapping[str, Any]) -> int:
    """Encode the frames into a temporary file, which becomes `path` later; returns their number."""
    import imageio.v2 as imageio

    count = 0
    with ExitStack() as stack:
        with _ffmpeg_errors(path):
            writer = stack.enter_context(closing(imageio.get_writer(file, **options)))
        for frame in frames:
            with _ffmpeg_errors(path):
                writer.append_data(frame)
            count += 1
        with _ffmpeg_errors(path):
            writer.close()
    return count


@contextmanager
def _ffmpeg_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ImportError) as error:
        raise _not_encoded(path, error) from error


def _options(first: Frame, fps: float, width: int) -> dict[str, Any]:
    scaled = ["-vf", f"scale={width}:-2:flags=bicubic+accurate_rnd+bitexact"] if first.shape[1] > width else []
    return {
        "format": "FFMPEG",
        "fps": fps,
        "codec": "libx264",
        "pixelformat": "yuv420p",
        "quality": 6,
        "macro_block_size": 1,
        "output_params": [*_REPRODUCIBLE, "-movflags", "+faststart", *scaled],
    }


def _not_encoded(path: Path, error: Exception) -> LanderError:
    import imageio_ffmpeg

    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, RuntimeError | ImportError | FileNotFoundError):
        return UsageError(f"{path}: no ffmpeg to encode it with ({reason}); pip install 'imageio[ffmpeg]'")
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    return LanderError(f"{path}: {ffmpeg} could not encode it ({reason}); does it run, and is there room on the disk?")


# --- pictures ---------------------------------------------------------------------------------------------------------


def grid(films: Mapping[str, Iterable[Frame]]) -> Iterator[Frame]:
    """Several films as one, side by side, each with its caption above; a film that has ended shows its last frame.

    A single film is returned unchanged.
    """
    if len(films) == 1:
        yield from next(iter(films.values()))
        return
    captions: list[Frame] = []
    shown: list[Frame] = []
    for moment in zip_longest(*films.values()):
        shown = [before if now is None else now for now, before in zip(moment, shown or moment, strict=True)]
        height, width = (max(tile.shape[axis] for tile in shown) for axis in (0, 1))
        captions = captions or [_caption(text, width) for text in films]
        yield _arranged([np.vstack([text, _fitted(tile, height, width)]) for text, tile in zip(captions, shown, strict=True)])


def _arranged(tiles: Sequence[Frame]) -> Frame:
    """The tiles in rows, with as many columns as rows where possible."""
    columns = ceil(sqrt(len(tiles)))
    framed = [np.pad(tile, ((0, _MARGIN), (0, _MARGIN), (0, 0)), constant_values=_GREY) for tile in tiles]
    framed += [np.full_like(framed[0], _GREY)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(framed[start : start + columns]) for start in range(0, len(framed), columns)])


def _caption(text: str, width: int) -> Frame:
    """A strip of `_CAPTION_HEIGHT` pixels with text on it."""
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("RGB", (width, _CAPTION_HEIGHT), (_GREY, _GREY, _GREY))
    ImageDraw.Draw(strip).text((6, 3), text, "black", ImageFont.load_default(14))
    return np.asarray(strip)


def _even(frame: Frame) -> Frame:
    """The frame with an even height and width, which H.264's colour subsampling needs."""
    height, width = frame.shape[:2]
    return _fitted(frame, height + height % 2, width + width % 2)


def _fitted(frame: Frame, height: int, width: int) -> Frame:
    """The frame cropped, or extended with its last row and column, to this size."""
    missing = max(0, height - frame.shape[0]), max(0, width - frame.shape[1])
    if missing != (0, 0):
        frame = np.pad(frame, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    return frame[:height, :width]
