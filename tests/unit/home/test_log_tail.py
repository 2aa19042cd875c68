"""The end of a log, of which only the part after a start counts."""

from lander.home.log_tail import tail


def test_it_is_the_last_bytes_and_none_before_the_start(tmp_path):
    log = tmp_path / "x.log"
    log.write_bytes("before\nüafter\n".encode())
    assert tail(log) == "before\nüafter\n"
    assert tail(log, 7) == "üafter\n"
    assert tail(log, 0, 6) == "after\n"
    assert tail(log, 0, 7) == "\ufffdafter\n", "a cut character is shown as one"
    assert tail(tmp_path / "none.log") == ""
