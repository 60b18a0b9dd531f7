import json
import subprocess
import sys

from inference.progress import finish
from inference.report import analysis_files
from tests.inference.report.examples import adversarial, concepts, contents, example_image
from tests.support.html_tree import read


def test_an_analysis_leaves_a_page_and_its_data() -> None:
    attacked = adversarial()
    work = analysis_files(contents(example_image(height=60, width=80)), attacked, None)
    files = finish(work)
    values = json.loads(files["report.json"])

    assert set(files) == {"report.html", "report.json"}
    assert read(files["report.html"].decode()).all("h1")[0].text == "A dog on grass"
    analysed = {"image", "captioner", "caption", "adversarial", "ace"}
    assert set(values) == analysed | {"words", "tags", "checked_by", "methods", "timing_ms"}
    assert values["image"] == {"file": "", "width": 80, "height": 60}
    assert values["captioner"] == {"name": "Example", "licence": "CC0-1.0", "data": "nothing"}
    assert values["caption"] == {
        **{"text": "A dog on grass", "confidence": 0.61},
        **{"fallback": None, "guess": "", "runner_up": "", "instead_of": ""},
    }
    assert values["adversarial"] == json.loads(json.dumps(attacked.to_json()))
    assert values["ace"] is None


def test_the_word_maps_and_their_checks_are_in_it() -> None:
    files = finish(analysis_files(contents(), None, concepts()))
    (method,) = json.loads(files["report.json"])["methods"]
    page = read(files["report.html"].decode())

    assert (method["name"], [each["of"]["index"] for each in method["maps"]]) == ("gradcam", [0])
    # No sheet of maps lies beside it.
    assert "file" not in method
    notes = [each.text for each in page.all("figcaption")]
    assert notes[-1] == "dog 90%; holds up (p = 0.02): next word 80%, blanked 10%, elsewhere 70%"


def test_concepts_leave_an_image_of_what_each_looks_like() -> None:
    files = finish(analysis_files(contents(), None, concepts()))
    words = json.loads(files["report.json"])["ace"]["words"]
    pictures = [each["picture"] for word in words for each in word["concepts"]]

    assert pictures == ["dog-1", "dog-2", "grass-1", "grass-2"]
    assert set(files) == {"report.html", "report.json", *(f"concept-{p}.webp" for p in pictures)}
    assert files["concept-dog-2.webp"] == concepts().pictures["dog-2"]


def test_the_same_findings_give_the_same_files() -> None:
    first, second = (
        finish(analysis_files(contents(), adversarial(), concepts())) for _ in range(2)
    )

    assert first == second


def test_writing_reports_progress_in_slices() -> None:
    work = analysis_files(contents(), adversarial(), None)

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
for findings in ((None, concepts()), (adversarial(), None)):
    for _ in analysis_files(contents(), *findings):
        loaded.append(sorted(heavy & set(sys.modules)))
print(*dict.fromkeys(map(tuple, loaded)), sep="; ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "(); ('matplotlib',); ('inference.report.charts', 'matplotlib')\n"
