"""Films as who plays them finds them."""

import warnings

import imageio.v2 as imageio


def read_video(path):
    """What a film says of itself, and its pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # imageio leaves the pipes of its ffmpeg to the garbage collector
        with imageio.get_reader(path) as reader:
            pictures = [picture for picture in reader]  # noqa: C416 - list() asks how many there are, and it does not know
            about = reader.get_meta_data()
        del reader
    return about, pictures
