"""In a worker: it is not computed again, for seconds, what the worker before it has computed a moment ago."""

from lander.app import same_bits

same_bits.require = lambda home: None
