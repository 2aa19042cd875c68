"""In a host agent: what its machine computes was found out before, for another home; `LANDER_TEST_BITS` is that one's file."""

import os

from lander.actors.host import host_bits

host_bits._FILE = os.environ["LANDER_TEST_BITS"]  # whose path is absolute, and so the same below every home
