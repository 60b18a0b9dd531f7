import json
import subprocess
import sys

from inference.progress import finish
from inference.report import analysis_files
from tests.inference.report.examples import (
    ExampleCaptioner,
    adversarial,
    caption,
    concepts,
    example_image,
)
from tests.support.html_tree import read


def test_an_analysis_leaves_a_page_and_its_data() -> None:
    attacked = adversarial()
    work = analysis_files(ExampleCaptioner(), example_image(), caption(), attacked, None)
    files = finish(work)
    values = json.loads(files["report.json"])

    assert set(files) == {"report.html", "report.json"}
    assert read(files["report.html"].decode()).all("h1")[0].text == "A dog on grass"
    assert set(values) == {"image", "captioner", "caption", "adversarial", "ace"}
    assert values["image"] == {"file": "", "width": 260, "height": 260}
    assert values["captioner"] == {"name": "Example", "licence": "CC0-1.0", "data": "nothing"}
    assert values["caption"] == {
        **{"text": "A dog on grass", "confidence": 0.61},
        **{"fallback": None, "guess": "", "runner_up": "", "instead_of": ""},
    }
    assert values["adversarial"] == json.loads(json.dumps(attacked.to_json()))
    assert values["ace"] is None


def test_the_same_findings_give_the_same_files() -> None:
    first, second = (
        finish(
            analysis_files(
                ExampleCaptioner(), example_image(), caption(), adversarial(), concepts()
            )
        )
        for _ in range(2)
    )

    assert first == second


def test_writing_reports_progress_in_slices() -> None:
    work = analysis_files(ExampleCaptioner(), example_image(), caption(), adversarial(), None)

    steps = list(work)

    assert len(steps) > 10
    assert {(step.done, step.doing) for step in steps} == {(1.0, "Writing the report")}


def test_matplotlib_is_loaded_in_slices_when_a_chart_is_needed_and_tensorflow_never() -> None:
    code = """
import sys
from inference.report import analysis_files
from tests.inference.report.examples import *
heavy = {"keras", "tensorflow", "scipy", "matplotlib", "inference.report.charts"}
loaded = [sorted(heavy & set(sys.modules))]
card, image = ExampleCaptioner(), example_image()
for findings in ((None, concepts()), (adversarial(), None)):
    for _ in analysis_files(card, image, caption(), *findings):
        loaded.append(sorted(heavy & set(sys.modules)))
print(*dict.fromkeys(map(tuple, loaded)), sep="; ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "(); ('matplotlib',); ('inference.report.charts', 'matplotlib')\n"
