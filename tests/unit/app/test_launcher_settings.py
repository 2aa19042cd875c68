"""`lander.toml`: what may be in it, and that an error names the file, the field and what is allowed."""

import pytest

from lander.app import client, launcher_settings, service
from lander.app.launchers import have_them_used, wanted
from lander.home import address
from lander.protocol.errors import ConfigurationError, ConflictError, HomeError, UsageError
from lander.supervisor.launchers import placeholders

COMMANDS = 'launch = ["run-job", "{name}", "{worker}"]\nalive = ["jobs", "{prefix}"]\ncancel = ["end-job", "{name}"]\n'


def written(home, text):
    (home / launcher_settings.FILE).write_text(text)
    return launcher_settings.read(home)


def test_a_home_without_the_file_has_no_launcher(tmp_path):
    assert launcher_settings.read(tmp_path) == {}
    assert not wanted(tmp_path, None, None).settings
    assert not wanted(tmp_path, None, None).listening.listen


def test_times_are_words_or_seconds_and_what_is_not_said_has_a_default(tmp_path):
    found = written(
        tmp_path,
        '[launchers.lab]\nengine = "ssh"\nhosts = ["gpu1", "ada@gpu2"]\nwalltime = "4h"\nidle_seconds = 90\n'
        'labels = ["a100"]\n',
    )
    assert (found["lab"].walltime, found["lab"].idle_seconds, found["lab"].min_workers) == (14400.0, 90.0, 0)
    assert found["lab"].options == {"hosts": ("gpu1", "ada@gpu2")}
    assert [command.labels for command in wanted(tmp_path, "lab", None).commands(tmp_path)] == [("a100",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[launchers.lab]\n", "launchers.lab.engine: missing"),
        ('[launchers.lab]\nengine = "pbs"\n', "launchers.lab.engine: pbs: no such engine"),
        (
            '[launchers.lab]\nengine = "local"\nmax_worker = 2\n',
            "max_worker: no such setting of local; did you mean max_workers?",
        ),
        ('[launchers.lab]\nengine = "local"\nqueue = 2\n', "launchers.lab.queue: no such setting of local; there are engine, "),
        ('[launchers.lab]\nengine = "ssh"\nhosts = "gpu1"\n', "launchers.lab.hosts: found 'gpu1'; must be a list"),
        ('[launchers.lab]\nengine = "local"\nwalltime = "soon"\n', "launchers.lab.walltime: soon: is no time such as 90s"),
        ('[launchers.lab]\nengine = "local"\npoll_seconds = inf\n', "launchers.lab.poll_seconds: inf: input should be"),
        ('[launchers.lab]\nengine = "local"\nslots = 1_000_000\n', "launchers.lab.slots: 1000000: input should be less"),
        (
            '[launchers.lab]\nengine = "ssh"\nhosts = ["-oProxyCommand=x"]\n',
            "launchers.lab.hosts.0: -oProxyCommand=x: is no host",
        ),
        ('[launchers."a b"]\nengine = "local"\n', "launchers.a b: a name is letters"),
        ("[launcher.lab]\n", "launcher: there may be tables [launchers.NAME], and store"),
        ('file_rate = "20"', "file_rate: 20: is no rate of at least 1 kB/s"),
        ("launchers = 3", "launchers: there may be tables"),
        ("[launchers", "cannot be read"),
        ('[launchers.lab]\nengine = "command"\n' + COMMANDS.replace("{name}", "{nam}", 1), "launchers.lab.launch"),
        ('[launchers.lab]\nengine = "command"\n' + COMMANDS.replace("{name}", "{token}", 1), "a secret is no argument"),
        ('[launchers.lab]\nengine = "command"\n' + COMMANDS.replace('"{worker}"', '"sh -c {worker}"'), "stands for several"),
        ('[launchers.lab]\nengine = "command"\nlaunch = []\n', "launchers.lab.launch"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_field(tmp_path, text, said):
    with pytest.raises(ConfigurationError) as refused:
        written(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'lander.toml'}: ")
    assert said in str(refused.value)


def test_on_names_an_engine_or_a_launcher_of_the_file(tmp_path):
    written(tmp_path, '[launchers.local]\nengine = "local"\nmin_workers = 3\nmax_workers = 5\n')
    assert wanted(tmp_path, "local", 2).settings["local"].min_workers == 2
    hosts = wanted(tmp_path, "ssh:a,b", None).settings["ssh"]
    assert (hosts.options, hosts.max_workers) == ({"hosts": ("a", "b")}, 2)
    assert wanted(tmp_path, "slurm", 4).settings["slurm"].options == {}
    assert wanted(tmp_path, "ray:10.0.0.1:6379", None).settings["ray"].options == {"address": ("10.0.0.1:6379",)}
    for words, said in (
        (("slurm:x", None), "--on slurm:x: no such launcher"),
        (("ray", None), "--on ray: no such launcher"),
        (("cloud", None), "--on cloud: no such launcher"),
        (("ssh:", None), "--on ssh:: no such launcher; .*/lander.toml has local"),
        (("ssh:a,", None), "--on ssh:a,.hosts.1"),
        ((None, 3), "--workers 3: of what?"),
    ):
        with pytest.raises(UsageError, match=said):
            wanted(tmp_path, *words)


def test_engines_that_are_on_this_machines_file_system_are_told_their_own_options_alone(tmp_path):
    found = written(
        tmp_path,
        '[launchers.s]\nengine = "slurm"\npartition = "gpu"\narguments = ["--qos=low"]\nslots = 4\n'
        '[launchers.r]\nengine = "ray"\naddress = "a:1"\npython = "/opt/ray/bin/python"\n',
    )
    assert found["s"].options == {"partition": ("gpu",), "arguments": ("--qos=low",)}
    assert found["r"].options == {"address": ("a:1",), "python": ("/opt/ray/bin/python",)}


def test_what_shells_and_templates_have_in_braces_stays(tmp_path):
    kubernetes = '["kubectl", "get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.phase}{{end}}"]'
    text = '[launchers.lab]\nengine = "command"\n' + COMMANDS.replace('["jobs", "{prefix}"]', kubernetes)
    assert written(tmp_path, text)["lab"].options["alive"][-1].startswith("jsonpath={range .items[*]}")
    assert placeholders.filled(("sh", "-c", "echo ${name} {name} {{end}}"), {"name": "x"}) == (
        "sh",
        "-c",
        "echo ${name} x {end}",
    )


def test_workers_of_this_machine_need_no_other_interface(tmp_path):
    assert wanted(tmp_path, "local", None).listening.listen == "127.0.0.1:0"
    elsewhere = wanted(tmp_path, "ssh:a", None).listening
    assert elsewhere.listen == "0.0.0.0:7411"
    assert elsewhere.advertise.endswith(":7411")
    assert not wanted(tmp_path, "local", None).notice(tmp_path)
    assert f"workers dial {elsewhere.advertise}" in wanted(tmp_path, "ssh:a", None).notice(tmp_path)


@pytest.mark.parametrize(
    ("listen", "on", "heard"),
    [("", "local", False), ("127.0.0.1:1", "local", True), ("127.0.0.1:1", "ssh:a", False), ("0.0.0.0:1", "ssh:a", True)],
)
def test_a_supervisor_that_runs_already_must_listen_where_the_workers_dial(tmp_path, monkeypatch, listen, on, heard):
    monkeypatch.setattr(client, "running", lambda home: address.Address("tcp://127.0.0.1:1", 1, "k", listen))
    (tmp_path / "bits.json").touch()
    with pytest.raises(HomeError if heard else ConflictError, match="client.key" if heard else "down, then the same again"):
        have_them_used(tmp_path, wanted(tmp_path, on, None))  # which is no supervisor, so goes no further


def test_over_ssh_there_are_no_more_workers_than_hosts(tmp_path):
    found = wanted(tmp_path, "ssh:gpu1,gpu2", 8)
    (command,) = found.commands(tmp_path)
    assert (command.min_workers, command.max_workers) == (0, 2)


def test_an_object_store_is_for_whatever_listens_and_a_wrong_one_is_said_with_the_file(tmp_path):
    (tmp_path / launcher_settings.FILE).write_text('store = "s3://bucket/x"\n[launchers.lab]\nengine = "local"\n')
    assert list(launcher_settings.read(tmp_path)) == ["lab"]
    assert wanted(tmp_path, None, None).listening == service.Listening("127.0.0.1:0", store="s3://bucket/x")
    assert wanted(tmp_path, "local", None).listening.store == "s3://bucket/x"
    (tmp_path / launcher_settings.FILE).write_text("store = 3\n")
    with pytest.raises(UsageError, match=f"^{tmp_path / launcher_settings.FILE}: store: 3 is no object store"):
        wanted(tmp_path, "local", None)


@pytest.mark.parametrize(
    ("listening", "said"),
    [
        (service.Listening(store="s3://bucket"), "--store: only with --listen"),
        (service.Listening("0.0.0.0:7411", store="bucket"), "--store: bucket is no object store"),
    ],
)
def test_a_store_of_the_command_line_is_checked_before_a_supervisor_starts(listening, said):
    with pytest.raises(UsageError, match=f"^{said}"):
        listening.check()
