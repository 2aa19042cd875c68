"""That the mutants can still be sown, which `make mutants` then does."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_fits_the_source_it_was_made_for(mutant):
    source = (ROOT / mutant.path).read_text()
    assert mutant.fits(source), f"{mutant.path} has changed: adapt the mutant in tests/mutants/catalogue.py"
    assert not mutant.fits(source.replace(mutant.before, mutant.after))
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (ROOT / path).read_text() if name else (ROOT / path).exists()
