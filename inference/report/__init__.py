"""Reports on the caption of an image: an HTML page, a JSON file and sheets of heat maps.

`writing` and `contents` are not re-exported: importing them loads TensorFlow.
"""

from inference.report.document import Captioner, Document, PaintedMaps
from inference.report.page import HTML_FILE, JSON_FILE, analysis_files, render_page
from inference.report.summary import summarize

__all__ = [
    "HTML_FILE",
    "JSON_FILE",
    "Captioner",
    "Document",
    "PaintedMaps",
    "analysis_files",
    "render_page",
    "summarize",
]
