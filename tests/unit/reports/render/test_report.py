"""The report in its forms: the same numbers in each, nobody's text taken for markup, nothing fetched from elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from lander.experiments.writing import experiment_file
from lander.protocol import events as e
from lander.reports.analysis.comparison import findings
from lander.reports.analysis.findings import Estimate, PublishedPolicy
from lander.reports.analysis.material import gather
from lander.reports.render import numbers
from lander.reports.render import page as pages
from lander.reports.render.characters import learning_curves
from lander.reports.render.drawing import svg
from lander.reports.render.markdown import markdown
from lander.reports.render.plots import plots
from lander.reports.render.text_report import as_json, as_text
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.ancestry import Ancestor
from tests.support import example_log
from tests.support.recorded import recorded
from tests.support.written_homes import attempt, episode, queued_experiment, steps, write_log

HOSTILE = """<script>alert(1)</script> & "quoted" <img src="https://example.com/x.png"> `code` | *bold* ```"""
VOID = {"meta", "br", "link", "img", "input", "hr", "wbr"}


class Elements(HTMLParser):
    """Every element of a page with its attributes and its text; raises where an element is not closed."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self._open = []
        self.feed(text)
        assert not self._open, f"never closed: {self._open[-1]}"

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.found.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.found.append({"tag": tag, "text": "", **dict(attributes)})

    def handle_endtag(self, tag):
        element = self._open.pop()
        assert element["tag"] == tag, f"</{tag}> closes <{element['tag']}>"

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def by_id(self, name):
        (element,) = [each for each in self.found if each.get("id") == name]
        return element

    def cells(self, row, **attributes):
        """The cells of the first row with these attributes, by their names."""
        inside, cells = False, {}
        for each in self.found:
            if each["tag"] == "tr":
                inside = all(each.get(name) == value for name, value in attributes.items()) and row in each
            elif inside and each["tag"] == "td" and "data-name" in each:
                cells[each["data-name"]] = each
        return cells


FETCHED = ("src", "srcset", "href", "xlink:href", "data", "action", "poster", "background")


def outside(text):
    """What of a page would be fetched from elsewhere."""
    found = Elements(text).found
    named = [each[name] for each in found if each["tag"] != "a" for name in FETCHED if name in each]
    styles = [each.get("style", "") + (each["text"] if each["tag"] == "style" else "") for each in found]
    named += [name for style in styles for name in re.findall(r"""(?:url\(\s*["']?|@import\s+)([^)"';]+)""", style)]
    return [name for name in named if not name.startswith(("#", "data:"))]


def gathered(home, name=example_log.NAME):
    with Reader(home) as reader:
        return gather(reader, findings(reader, name))


def page(material, films=None, figures=None):
    return pages.page(material, {name: svg(drawn) for name, drawn in plots(material)} if figures is None else figures, films)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "home"
    example_log.built(path, example_log.wanted(60_000))
    return path


@pytest.fixture(scope="module")
def material(home):
    return gathered(home)


@pytest.fixture(scope="module")
def written(material):
    return page(material)


@pytest.fixture(scope="module")
def elements(written):
    return Elements(written)


def test_the_question_and_the_verdict_come_first(elements, material):
    assert elements.by_id("hypothesis")["text"] == "A larger learning rate speeds up training"
    for contrast in material.findings.contrasts:
        verdict = elements.by_id(f"verdict-{contrast.variant}")
        assert verdict["data-decision"] == contrast.decision
        assert float(verdict["data-difference"]) == contrast.difference.value
        assert contrast.decision in verdict["text"]
    (together,) = [each for each in elements.found if each.get("class") == "verdict"]
    assert together["data-decision"] == "mixed"
    assert "1 of 2 variants is supported and 1 is refuted" in together["text"]
    assert all(caveat in elements.by_id("caveats")["text"] for caveat in material.findings.caveats)


def test_the_page_shows_every_number_of_the_findings(elements, material):
    for arm in material.findings.arms:
        cells = elements.cells("data-arm", **{"data-arm": arm.name})
        for name, estimate in (("mean", arm.mean), ("median", arm.median), ("iqm", arm.iqm), ("area", arm.area)):
            assert [float(cells[name][key]) for key in ("data-value", "data-low", "data-high")] == [
                estimate.value,
                estimate.low,
                estimate.high,
            ]
            assert numbers.number(estimate.value) in cells[name]["text"]
        for run in arm.runs:
            cells = elements.cells("data-run", **{"data-run": run.run})
            assert int(cells["step"]["data-value"]) == run.step
            assert cells["final"]["data-value"] == ("" if run.final is None else str(run.final))
            assert cells["final"]["text"] == numbers.number(run.final)
            assert run.state in cells["state"]["text"]
    failed = elements.cells("data-run", **{"data-run": f"{example_log.NAME}/timid/3"})
    assert failed["state"]["text"].strip() == "failed: non_finite"
    assert "inexactly" in elements.cells("data-run", **{"data-run": f"{example_log.NAME}/fast/1"})["state"]["text"]


def test_the_page_has_every_figure_and_no_id_twice(elements):
    ids = [each["id"] for each in elements.found if "id" in each]
    assert len(ids) == len(set(ids))
    assert {
        "differences",
        "learning-curves",
        "evaluation-curves",
        "final-returns",
        "performance-profile",
        "steps-to-threshold",
        "resources",
    } <= set(ids)
    used = {name for each in elements.found for value in each.values() for name in re.findall(r"url\(#([^)]*)\)", value or "")}
    used |= {each["xlink:href"][1:] for each in elements.found if "xlink:href" in each}
    assert used
    assert used <= set(ids)


def test_a_mean_over_some_runs_says_over_how_many(material):
    """An arm of which one run came to the threshold early is not quicker than one of which all did later."""
    baseline, *variants = material.findings.arms
    arms = (replace(baseline, reached=3, steps_to_threshold=Estimate(value=1000.0)), *variants)
    some = replace(material, findings=replace(material.findings, arms=arms))
    cells = Elements(page(some, figures={})).cells("data-arm", **{"data-arm": baseline.name})
    assert cells["steps-to-threshold"]["text"] == "1,000(3 of 5 runs)"
    assert "1,000 (3 of 5 runs) |" in markdown(some)
    assert "1,000 (3 of 5 runs) " in as_text(some.findings)


def beside(material, measure="evaluation"):
    """The material with a published policy beside it, whose folder has a hostile name."""
    policy = PublishedPolicy(folder=HOSTILE, run="old/fast/0", step=10_240, episodes=20, mean=-12.25, spread=3.5)
    return replace(material, findings=replace(material.findings, published=(policy,), measure=measure))


def test_a_published_policy_stands_beside_the_arms_and_changes_no_verdict(material, written):
    with_one = beside(material)
    sentence = "returned −12.2 ± 3.50 over 20 episodes (old/fast/0 at step 10,240); no part of the verdict"
    assert sentence in as_text(with_one.findings)
    assert sentence in markdown(with_one)
    assert "<script>" not in markdown(with_one)
    found = Elements(page(with_one, figures={})).found
    assert [each["text"] for each in found if each.get("class") == "meta published"] == [
        f"published policy {' '.join(HOSTILE.split())}: {sentence}"
    ]
    assert json.loads(as_json(with_one.findings))["published"][0]["mean"] == -12.25
    assert json.loads(as_json(with_one.findings))["verdict"] == json.loads(as_json(material.findings))["verdict"]
    assert "published policy" not in written


def test_beside_returns_of_training_it_says_that_it_plays_without_exploration(material):
    assert "without exploration; those of the arms are of training" in as_text(beside(material, "training").findings)


@pytest.mark.parametrize(("measure", "lines"), [("evaluation", 1), ("training", 0)])
def test_its_line_is_drawn_only_where_returns_are_those_of_an_evaluation(material, measure, lines):
    drawn = dict(plots(beside(material, measure)))["final-returns"]
    (axes,) = drawn.axes
    labelled = [line for line in axes.lines if line.get_label() == "published policy −12.2"]
    assert [set(line.get_xdata()) for line in labelled] == [{-12.25}] * lines


def test_only_what_differs_is_said_to_differ(elements):
    assert [each["data-setting"] for each in elements.found if "data-setting" in each] == [
        "learning_rate",
        "policy_kwargs.net_arch",
        "ent_coef",
    ]


def test_the_page_needs_nothing_from_elsewhere(written):
    assert outside(written) == []
    assert "default-src 'none'" in written
    assert "<script" not in written


@pytest.mark.parametrize(
    "planted",
    [
        "<img src='https://example.com/a.png'>",
        '<link rel="stylesheet" href="style.css">',
        "<i style='background: url(a.png)'></i>",
    ],
)
def test_what_comes_from_elsewhere_would_be_seen(planted):
    assert len(outside(f"<p>{planted}</p>")) == 1


def test_the_page_is_small(written):
    assert len(written) < 500_000


def test_a_hypothesis_is_text_and_never_markup(material):
    hostile = replace(material, findings=replace(material.findings, hypothesis=HOSTILE, caveats=(HOSTILE,), state=HOSTILE))
    text = page(hostile, figures={})
    elements = Elements(text)
    assert elements.by_id("hypothesis")["text"] == HOSTILE
    assert outside(text) == []
    ours = Elements(page(material, figures={}))
    assert {each["tag"] for each in elements.found} == {each["tag"] for each in ours.found}
    assert len([each for each in elements.found if each["tag"] == "p"]) == len(
        [each for each in ours.found if each["tag"] == "p"]
    )


def test_markdown_says_the_same(material):
    text = markdown(material, ["learning-curves"], "x-")
    assert text.startswith("# A larger learning rate speeds up training\n")
    assert "**1 of 2 variants is supported and 1 is refuted**: fast returned more than baseline in evaluation, and" in text
    assert "![Learning curves](x-learning-curves.png)" in text
    assert all(caveat.replace("_", r"\_") in text for caveat in material.findings.caveats)
    for arm in material.findings.arms:
        assert (
            f"| {arm.name} | {len(arm.returns)} of 5 | {numbers.estimated(arm.mean)}".replace("[", r"\[").replace("]", r"\]")
            in text
        )


def test_markdown_takes_nobodys_text_for_markup(material):
    experiment = material.experiment.model_copy(update={"hypothesis": HOSTILE})
    hostile = replace(material, experiment=experiment, findings=replace(material.findings, hypothesis=HOSTILE))
    heading, rest = markdown(hostile).split("\n", 1)
    assert "<" not in heading
    assert not re.search(r"(?<!\\)[`|*]", heading)
    fence = re.search(r"^(`{3,})yaml$", rest, re.MULTILINE).group(1)
    assert len(fence) == 4  # longer than any within
    assert rest.count(fence) == 2


def test_json_is_the_findings_and_nothing_is_not_a_number(material):
    found = json.loads(as_json(material.findings), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["arms"][1]["iqm"]["value"] == material.findings.arms[1].iqm.value
    assert found["contrasts"][0]["decision"] == "supported"
    assert found["arms"][0]["returns"] == {str(seed): value for seed, value in material.findings.arms[0].returns.items()}
    unknown = replace(material.findings, threshold=float("nan"))
    assert json.loads(as_json(unknown))["threshold"] is None


def test_text_has_the_verdict_the_arms_and_the_caveats(material):
    text = as_text(material.findings, ["a picture"])
    assert text.index("supported and 1 is refuted: fast") < text.index("a picture") < text.index("note: ")
    for arm in material.findings.arms:
        assert re.search(
            rf"^  {arm.name} +{len(arm.returns)} of 5 .*{re.escape(numbers.estimated(arm.mean))}", text, re.MULTILINE
        )


def test_text_leaves_out_its_heading_where_that_stands_just_above(material):
    heading, rest = as_text(material.findings).split("\n", 1)
    assert heading.startswith(f"{material.findings.experiment}: {material.findings.state} – ")
    assert as_text(material.findings, headed=False) == rest


def test_an_experiment_that_has_not_ended_is_reported_as_it_stands(tmp_path):
    example_log.built(tmp_path, example_log.wanted(60_000, seeds=2, eval_episodes=0), until=0.4, failed=None)
    material = gathered(tmp_path)
    elements = Elements(page(material))
    assert elements.by_id("notice")["text"].startswith("Not finished: 0 of 6 runs have completed")
    assert elements.by_id("learning-curves")
    assert not any(each.get("id") in ("performance", "comparison", "differences") for each in elements.found)
    assert "Not finished" in markdown(material)
    assert "Not finished" in as_text(material.findings)


def test_one_in_which_no_run_completed_says_why_and_still_shows_its_curves(tmp_path):
    example_log.built(tmp_path, example_log.wanted(60_000, seeds=1), until=0.4, failed=None)
    runs = example_log.wanted(60_000, seeds=1).runs
    ended = [e.AttemptEnded(epoch=1, cause="out_of_memory"), e.RunFailed(cause="out_of_memory")]
    write_log(tmp_path, *(batch_of(run.id, *ended) for run in runs), batch_of(example_log.NAME, e.ExperimentFailed(detail="x")))
    elements = Elements(page(gathered(tmp_path)))
    notice = elements.by_id("notice")["text"]
    assert notice == "No run completed, so there is nothing to conclude. What became of them: failed: out_of_memory."
    assert elements.by_id("learning-curves")


def test_one_in_which_nothing_has_happened_yet_can_be_reported(tmp_path):
    queued_experiment(tmp_path)
    text = page(gathered(tmp_path, "x"))
    assert "No run has finished an episode yet." in text
    assert outside(text) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308])
def test_returns_that_are_no_numbers_harm_nothing(tmp_path, value):
    wanted = queued_experiment(tmp_path, training_steps=100, seeds=(0, 1))
    for run in wanted.runs:
        evaluations = [
            e.EvaluationFinished(step=step, first_seed=1, returns=(value, -value), lengths=(1, 1), final=step == 100)
            for step in (50, 100)
        ]
        words = [steps(0, 100), *(episode(step, value if step % 2 else -value) for step in range(10, 100)), *evaluations]
        write_log(tmp_path, *attempt(1, *words, run=run.id, cause="completed"), batch_of(run.id, e.RunCompleted()))
    material = gathered(tmp_path, "x")
    assert "Infinity" not in as_json(material.findings)
    assert outside(page(material)) == []
    assert markdown(material)
    assert as_text(material.findings, learning_curves(list(material.bands), material.bands, 80))


def test_a_fork_says_where_it_comes_from(material):
    past = (Ancestor("origin/baseline/0", 10_000), Ancestor("middle/fast/0", 20_000))
    forked = replace(material, ancestry={run.run: past for arm in material.findings.arms for run in arm.runs})
    elements = Elements(page(forked))
    assert "A fork: its runs go on from middle/fast/0 at step 20,000." in elements.by_id("lineage")["text"]
    figure = elements.by_id("branching")["text"]
    assert all(name in figure for name in ("origin/baseline", "middle/fast", "timid"))
    assert "middle/fast/0 at step 20,000" in markdown(forked)


def test_films_are_part_of_the_page(material, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"not really a film")
    text = page(material, {"fast": [("best: 250.0", film)], "timid": []}, figures={})
    (video,) = [each for each in Elements(text).found if each["tag"] == "video"]
    assert video["src"].startswith("data:video/mp4;base64,")
    assert outside(text) == []
    assert "best: 250.0" in text
    assert [each["text"] for each in Elements(text).found if each["tag"] == "h3"] == ["fast"]


MAKE = """
import sys
from pathlib import Path
from tests.unit.reports.render.test_report import gathered, markdown, page
material = gathered(Path(sys.argv[1]))
sys.stdout.write(page(material) + markdown(material))
"""


def test_the_same_log_gives_the_same_bytes_in_any_process(home, material, written, tmp_path):
    environment = os.environ | {"PYTHONHASHSEED": "1", "MPLCONFIGDIR": str(tmp_path), "TZ": "Asia/Tokyo"}
    (tmp_path / "matplotlibrc").write_text("legend.fontsize: 30\nxtick.major.size: 20\n")  # somebody's own taste
    command = [sys.executable, "-c", MAKE, str(home)]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4])
    assert made.stdout == written + markdown(material)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH; make browser installs it")
def test_a_browser_opens_the_page_without_complaint(written, material, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(written)
    document, complaints = opened(path, tmp_path)
    assert complaints == []
    elements = Elements(document)
    iqm = elements.cells("data-arm", **{"data-arm": "fast"})["iqm"]
    assert float(iqm["data-value"]) == material.findings.arms[1].iqm.value
    assert numbers.number(material.findings.arms[1].iqm.value) in iqm["text"]
    path.write_text(written.replace("</body>", "<script>1</script><img src='https://example.com/a.png'></body>"))
    assert len(opened(path, tmp_path)[1]) == 2  # the page's own policy refuses both, and the console says so


WIDTHS = """<!doctype html><iframe id="page" width="{width}" height="900"></iframe><p id="found"></p><script>
const frame = document.getElementById("page");
frame.onload = () => {{
  const page = frame.contentDocument, within = page.documentElement.clientWidth;
  const cut = [...page.querySelectorAll("#variants *, .settings *, .verdict *, h1")]
    .filter(each => !each.closest(".scroll") && each.getBoundingClientRect().right > within + 1);
  document.getElementById("found").textContent = page.documentElement.scrollWidth + " " + within + " " + cut.length;
}};
frame.srcdoc = {page};
</script>"""
"""A page that shows another in a frame of this width, and says how wide it is, how much there is room for, and what is cut."""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH; make browser installs it")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_itself_never_scrolls_sideways(tmp_path, width):
    """On a telephone, too, and with twelve arms of the longest names: only its tables of numbers do, each by itself."""
    names = [("a-long-name-of-an-arm-" * 3)[:62] + f"{index:02}" for index in range(11)]
    changed = {name: {"hyperparameters": {"gamma": 0.9 + 0.001 * index, "n_steps": 8}} for index, name in enumerate(names)}
    example_log.built(tmp_path / "home", example_log.wanted(12_000, seeds=2, variants=changed), failed=None)
    path = tmp_path / "frame.html"
    text = json.dumps(page(gathered(tmp_path / "home"))).replace("</", "<\\/")
    path.write_text(WIDTHS.format(width=width, page=text))
    document, _ = opened(path, tmp_path, "--virtual-time-budget=10000")
    scrolled, within, cut = map(int, Elements(document).by_id("found")["text"].split())
    assert scrolled <= within <= width
    assert cut == 0


def opened(path, directory, *more):
    """The document as the browser has it, and what its console says."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--enable-logging=stderr", "--no-first-run"]
    command = [CHROMIUM, *options, *more, f"--user-data-dir={directory / 'profile'}", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return shown.stdout, [line for line in shown.stderr.splitlines() if "CONSOLE" in line]


# --- text that wants to be obeyed -------------------------------------------------------------------------------------

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_escape_sequences_and_marks_of_direction_reach_no_report(tmp_path):
    hypothesis = "better\x1b[2J\x1b]0;owned\x07 \u202eesrow\u202c"
    wanted = queued_experiment(tmp_path, hypothesis=hypothesis, environment_kwargs={"text": hypothesis})
    write_log(tmp_path, *attempt(1, steps(0, 10), episode(10)))
    with Reader(tmp_path) as reader:
        material = gather(reader, findings(reader, wanted.experiment_id))
        html = pages.page(material, {name: svg(drawn) for name, drawn in plots(material)})
        forms = {"html": html, "md": markdown(material), "text": as_text(material.findings), "json": as_json(material.findings)}
    assert not [form for form, text in forms.items() if OBEYED.search(text)]
    assert all(r"\u001b[2J" in text or r"\\u001b\[2J" in text for text in forms.values())
    assert json.loads(forms["json"])["hypothesis"] == hypothesis
    assert recorded(yaml.safe_load(experiment_file(wanted))) == wanted
