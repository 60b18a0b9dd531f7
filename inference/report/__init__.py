"""Reports on the caption of an image: an HTML page, a JSON file and sheets of heat maps.

`writing` and `contents` are not re-exported: importing them loads TensorFlow.
"""

from inference.report.document import (
    Analyses,
    Captioner,
    Contents,
    Document,
    Explanation,
    MethodMaps,
    PaintedMaps,
)
from inference.report.page import (
    HTML_FILE,
    JSON_FILE,
    analysis_files,
    render_page,
    write_files,
)
from inference.report.summary import summarize

__all__ = [
    "HTML_FILE",
    "JSON_FILE",
    "Analyses",
    "Captioner",
    "Contents",
    "Document",
    "Explanation",
    "MethodMaps",
    "PaintedMaps",
    "analysis_files",
    "render_page",
    "summarize",
    "write_files",
]
