"""`trimoe report` from files to files: what is written, what the page holds, what is refused and how."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from msgspec.structs import replace

from profiles.latency.fit.estimator import fit_estimator
from profiles.latency.fit.sources import read_measured
from runtime.documents.baseline import dump_baseline
from runtime.documents.family_digest import family_digest
from runtime.documents.latency.estimator_document import dump_estimator
from runtime.documents.latency.profile_document import LatencyProfile, MeasuredVariant, dump_profile
from runtime.documents.manifest import read_manifest
from runtime.latency.workload import Workload
from tests.support.browser import Browser, headless_browser
from tests.support.commands import trimoe
from tests.support.documents import BASELINE
from tests.support.families import ModelFamilies
from tests.support.latency_documents import ESTIMATOR
from tests.support.simulated_profiles import FORM, LOADS, SHAPES, simulated_baseline, simulated_profile

TWO_FORMS = (FORM, ("torch", "bfloat16"))


class Page(HTMLParser):
    """The attributes of a page's elements, by tag."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str | None]]] = {}
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append(dict(attrs))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return self.found.get(tag, [])


def write(path: Path, profile: LatencyProfile) -> Path:
    path.write_bytes(dump_profile(profile))
    return path


def fit(profile: Path, engine: str = "onnx") -> Path:
    measured = read_measured([profile], engine=engine, dtype=None)
    out = profile.with_name(f"{profile.stem}-{engine}-estimator.json")
    out.write_bytes(dump_estimator(fit_estimator(measured.observations, measured.subject, level=0.9)))
    return out


def report(*arguments: object) -> Result:
    return trimoe("report", *arguments)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of two forms, an estimator of each, a baseline."""
    folder = tmp_path_factory.mktemp("inputs")
    profile = write(folder / "a.json", simulated_profile(forms=TWO_FORMS))
    for engine in ("onnx", "torch"):
        fit(profile, engine)
    (folder / "baseline.json").write_bytes(dump_baseline(simulated_baseline(forms=TWO_FORMS)))
    return folder


@pytest.fixture(scope="module")
def written(inputs: Path) -> Path:
    out = inputs / "out"
    estimators = [part for e in ("onnx", "torch") for part in ("--estimator", inputs / f"a-{e}-estimator.json")]
    result = report(inputs / "a.json", *estimators, "--baseline", inputs / "baseline.json", "--out", out)
    assert result.exit_code == 0, result.output
    assert sorted(result.output.splitlines()) == sorted(str(path) for path in out.iterdir())
    return out


def test_every_picture_is_there_as_svg_and_png(written: Path) -> None:
    series = [f"{what}-{form}" for what in ("depth", "predicted", "residuals") for form in FORMS_AS_WRITTEN]
    names = {"frontier", "drift", *series}
    assert {path.name for path in written.iterdir()} == {
        "report.html",
        *(f"{name}.{kind}" for name in names for kind in ("svg", "png")),
    }
    for path in written.glob("*.svg"):
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


FORMS_AS_WRITTEN = ("onnx-float32", "torch-bfloat16")


def test_the_page_needs_nothing_outside_itself_and_every_figure_says_what_it_shows(written: Path) -> None:
    page = Page(written / "report.html")
    images = page.of("img")
    assert len(images) == len(page.of("figure")) == len(list(written.glob("*.svg")))
    assert all(len(image["alt"] or "") > 40 for image in images)
    sources = [image["src"] for image in images] + [one["srcset"] for one in page.of("source")]
    assert all((source or "").startswith("data:image/svg+xml;base64,") for source in sources)
    assert not page.of("script")
    assert {(link["href"] or "")[:5] for link in page.of("link")} == {"data:"}
    assert {(link["href"] or "")[:1] for link in page.of("a")} == {"#"}
    assert {(link["href"] or "")[1:] for link in page.of("a")} <= {one["id"] for one in page.of("section")}
    text = (written / "report.html").read_text("utf-8")
    assert "@import" not in text and "url(" not in text and "http" not in text.replace("http://www.w3.org", "")


def test_the_head_says_what_was_measured_where_when_and_from_which_files(written: Path, inputs: Path) -> None:
    text = (written / "report.html").read_text("utf-8")
    for said in (
        "a processor (cpu)",
        "2026-11-21T17:00:00",
        "onnxruntime 1.28",
        "a" * 64,
        "random weights",
        "1000–2000",
    ):
        assert said in text
    assert text.count("sha256 ") >= 4
    assert "Memory and energy, 1 row<" in text and "1.02 kB" in text
    assert "--family DIR" in text and "--baseline FILE" not in text


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    profile = write(tmp_path / "p.json", simulated_profile(SHAPES[:2], LOADS[:2]))
    baseline = tmp_path / "baseline.json"
    baseline.write_bytes(dump_baseline(simulated_baseline()))
    for out in (tmp_path / "1", tmp_path / "2"):
        assert report(profile, "--baseline", baseline, "--out", out).exit_code == 0
    first, second = ({p.name: p.read_bytes() for p in out.iterdir()} for out in (tmp_path / "1", tmp_path / "2"))
    assert first == second
    assert "frontier.svg" in first


@pytest.mark.parametrize(
    "profile",
    [
        simulated_profile([(16, 8)], LOADS[:1]),
        simulated_profile(loads=[Workload(batch=2, vision_tokens=0, text_tokens=16)]),
        simulated_profile(
            loads=[Workload(batch=b, vision_tokens=144, text_tokens=16) for b in (1, 2, 4, 8, 16, 32, 64)]
        ),
        simulated_profile([(depth, k) for depth in range(16, 8, -1) for k in (8, 6, 4, 2, 1)], LOADS[:2]),
    ],
    ids=["one variant", "one batch of text", "many batches", "40 variants"],
)
def test_profiles_of_any_extent_are_drawn(profile: LatencyProfile, tmp_path: Path) -> None:
    result = report(write(tmp_path / "p.json", profile), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"report", "depth", "drift"}


def test_mixed_and_dense_layers_are_drawn(tmp_path: Path) -> None:
    profile = simulated_profile(SHAPES[:2], LOADS[:2])
    mixed = MeasuredVariant(id="b16-k4", layers=16, top_k=(8, 4, 2, 1) * 4)
    dense = MeasuredVariant(id="b16-k4", layers=16, top_k=None)
    for variant, said in ((mixed, "mixed, mean 3.8"), (dense, "dense")):
        changed = replace(profile, variants=(profile.variants[0], variant))
        assert report(write(tmp_path / "p.json", changed), "--out", tmp_path / "out").exit_code == 0
        assert said in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_several_profiles_stand_in_one_page_under_their_files_names(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.json", simulated_profile(SHAPES[:1], LOADS[:1])) for name in ("one", "two")]
    assert report(*files, "--out", tmp_path / "out").exit_code == 0
    assert {"one-depth.svg", "two-depth.svg"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert report(files[0], files[0], "--out", tmp_path / "twice").exit_code == 0
    assert {"one-1-depth.svg", "one-2-depth.svg"} <= {path.name for path in (tmp_path / "twice").iterdir()}


def test_names_from_files_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    profile = simulated_profile(SHAPES[:1], LOADS[:1], forms=(("../x", "<b>$a$</b>"), FORM))
    model = replace(profile.model, name="<script>alert(1)</script> $x^$ 模型")
    path = write(tmp_path / "p.json", replace(profile, model=model))
    assert report(path, "--out", tmp_path / "out").exit_code == 0
    assert all(one.parent == tmp_path / "out" for one in (tmp_path / "out").iterdir())
    assert not [one for one in tmp_path.iterdir() if one.suffix == ".svg"]
    assert not Page(tmp_path / "out" / "report.html").of("script")
    assert not Page(tmp_path / "out" / "report.html").of("b")


def test_times_that_were_not_measured_are_predicted_and_said_to_be(inputs: Path, tmp_path: Path) -> None:
    profile = simulated_profile(SHAPES[:3], LOADS[:4])
    known = tuple(point for point in profile.points if point.variant != "b14-k8")
    path = write(tmp_path / "p.json", replace(profile, points=known))
    options = ("--baseline", inputs / "baseline.json", "--out", tmp_path / "out")
    assert report(path, *options).exit_code == 0
    assert "predicted, all others measured" not in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert report(path, "--estimator", fit(path), *options).exit_code == 0
    assert "1 times are predicted, all others measured" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_with_its_family_a_profile_has_a_roofline(model_family: ModelFamilies, tmp_path: Path) -> None:
    _, folder = model_family("mixtral")
    manifest = read_manifest(folder)
    profile = simulated_profile(SHAPES[:1], LOADS[:1])
    variant = manifest.variants[0]
    digest = family_digest(manifest.files, manifest.variants)
    own = replace(
        profile,
        model=replace(profile.model, digest=digest, experts=manifest.source.experts),
        variants=(MeasuredVariant(id=variant.id, layers=len(variant.layers), top_k=variant.top_k),),
        points=tuple(replace(point, variant=variant.id) for point in profile.points),
        footprints=(),
    )
    result = report(write(tmp_path / "p.json", own), "--family", folder, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "roofline.png").exists()
    assert "Assumed are" in (tmp_path / "out" / "report.html").read_text("utf-8")
    other = replace(own, variants=(replace(own.variants[0], layers=1, top_k=(1,)),))
    refused = report(write(tmp_path / "p.json", other), "--family", folder, "--out", tmp_path / "out")
    assert f"{variant.id} has 1 layers, but {len(variant.layers)} in the family" in refused.output


def refusals(inputs: Path, folder: Path) -> Iterator[tuple[tuple[object, ...], str]]:
    """Command lines and what they are answered."""
    profile, baseline = inputs / "a.json", inputs / "baseline.json"
    estimator = folder / "e.json"
    estimator.write_bytes(dump_estimator(replace(ESTIMATOR, dtype="int8")))
    yield (
        (profile, "--estimator", estimator),
        (
            f"{estimator}: fitted to onnx int8 on a processor with 64 experts; the profiles have onnx float32 on a "
            "processor, torch bfloat16 on a processor"
        ),
    )
    mine = inputs / "a-onnx-estimator.json"
    yield (profile, "--estimator", mine, "--estimator", mine), f"{mine}: {mine} is of onnx float32 on a processor too"
    other = folder / "b.json"
    other.write_bytes(dump_baseline(replace(BASELINE, family=replace(BASELINE.family, digest="b" * 64))))
    yield (profile, "--baseline", other), f"{other}: of the family {'b' * 12}; the profiles are of {'a' * 12}"
    yield (profile, "--baseline", baseline, "--baseline", baseline), f"{baseline}: {baseline} is of the same family"
    forms = folder / "f.json"
    forms.write_bytes(dump_baseline(simulated_baseline(forms=[("onnx", "int8")])))
    yield (profile, "--baseline", forms), f"{forms}: no data set on which every variant of onnx float32, torch bfloat16"
    yield (profile, "--family", folder), f"{folder}: no manifest.json"
    yield (baseline,), f"{baseline}: format: expected 'trimoe.latency-profile'"
    empty = simulated_profile()
    yield (write(folder / "n.json", replace(empty, points=())),), f"{folder / 'n.json'}: points: there are none"
    strange = replace(empty, points=(replace(empty.points[0], stage="thinking"),))
    yield (write(folder / "s.json", strange),), f"{folder / 's.json'}: points[0].stage: 'thinking' is no stage"
    little = replace(empty, points=(replace(empty.points[0], count=1),))
    yield (write(folder / "l.json", little),), f"{folder / 'l.json'}: nothing to show"


def test_what_does_not_fit_is_refused_by_name_and_nothing_is_written(inputs: Path, tmp_path: Path) -> None:
    for arguments, said in refusals(inputs, tmp_path):
        result = report(*arguments, "--out", tmp_path / "out")
        assert result.exit_code == 1, arguments
        assert said in result.output
        assert len(result.output.splitlines()) == 1
        assert not (tmp_path / "out").exists()


OVERFLOW = "return [document.documentElement.scrollWidth, innerWidth]"
HIDDEN = "return [...document.images].filter(one => !one.complete || one.naturalWidth === 0).length"
WIDE_TABLES = (
    "return [...document.querySelectorAll('.scroll')].filter(one => one.getBoundingClientRect().right > innerWidth)"
)
SHOWN = "return [...document.images].map(one => one.naturalWidth)"
PAPER = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as found:
        yield found


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_nothing_overflows_and_the_console_is_silent(browser: Browser, written: Path, width: int) -> None:
    browser.open((written / "report.html").as_uri(), width=width)
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    scrolled, inner = browser.run(OVERFLOW)
    assert (scrolled, inner) == (width, width)
    assert browser.run(HIDDEN) == 0
    assert browser.run(f"{WIDE_TABLES}.length") == 0
    widths: list[Any] = browser.run(SHOWN)
    assert {one > 500 for one in widths} == {width > 760}, "the narrow form of pictures in a narrow window"
    assert browser.messages() == []


def test_in_a_browser_the_page_is_dark_for_who_prefers_it(browser: Browser, written: Path) -> None:
    found = []
    for dark in (False, True):
        browser.open((written / "report.html").as_uri(), width=1280, dark=dark)
        found.append(browser.run(PAPER))
    assert found == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]
