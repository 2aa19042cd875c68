"""The client of an object store: which URLs are taken, and what is said when it does not serve."""

import subprocess
import sys

import pytest

from lander.app.proved_store import prove_store
from lander.protocol.errors import UsageError
from lander.transfer.object_store import ObjectStore, ObjectStoreError, _words, check_url

SAID = (
    "Generic S3 error: Error performing PUT http://127.0.0.1:9/b/x?sig=SECRET in 4ms - 403 Forbidden: <?xml version='1.0'?>\n"
    "<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message><Key>SECRET</Key></Error>"
    '\n\nDebug source:\nGeneric { uri: "http://127.0.0.1:9/b/x?sig=SECRET" }'
)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/some/prefix", "gs://bucket/x", "az://container/x", "file:///a/b"])
def test_what_names_a_store_is_taken(url):
    assert check_url(url, "--store") == url


@pytest.mark.parametrize(
    "url", ["bucket", "s3://", "s3:bucket", "http://host/bucket", "file://", "file:///", "file://host/x", ""]
)
def test_what_names_none_is_refused_with_the_forms_there_are(url):
    with pytest.raises(UsageError, match=r"^--store: .* is no object store; one is s3://BUCKET/PREFIX"):
        check_url(url, "--store")


@pytest.mark.parametrize("url", ["s3://key:SECRET@bucket/x", "az://container/x?sig=SECRET", "gs://bucket/x#SECRET"])
def test_a_secret_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match="credentials come from the environment") as refused:
        check_url(url, "--store")
    assert "SECRET" not in str(refused.value)


def test_a_stores_words_are_one_line_without_signatures_and_keys():
    before = "Generic S3 error: Error performing PUT http://127.0.0.1:9/b/x in 4ms - 403 Forbidden: "
    assert _words(SAID) == f"{before}SignatureDoesNotMatch: It does not match."


async def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ObjectStoreError) as refused:
        await ObjectStore("s3://bucket", "key").names()
    assert str(refused.value) == "s3://bucket: an object store needs one more library: pip install 'lander-ctl[s3]'"


def test_the_library_is_not_imported_before_it_is_used():
    program = (
        "import sys, lander.transfer.client, lander.transfer.server, lander.app.service; sys.exit('obstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_store_is_proved_before_a_supervisor_uses_it(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    prove_store(tmp_path / "home", f"file://{tmp_path / 'store'}")
    assert not [each for each in (tmp_path / "store").rglob("*") if each.is_file()]
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"^--store file://{tmp_path / 'file'}: "):
        prove_store(tmp_path / "home", f"file://{tmp_path / 'file'}")
