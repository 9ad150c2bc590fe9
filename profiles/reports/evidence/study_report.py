"""The report of a study: pictures, page, text, and the documents that other tools read."""

from pathlib import Path

from profiles.evidence.combining.analysis import ANALYSIS_FILE, analysis_document
from profiles.evidence.combining.recommend import RECOMMENDATIONS_FILE, recommendations_document
from profiles.evidence.comparing.configurations import CONFIGURATIONS_FILE, configurations_document
from profiles.evidence.comparing.overview import Overview
from profiles.evidence.comparing.pairs import PAIRS_FILE, pairs_document
from profiles.reports.evidence.study_charts import study_charts
from profiles.reports.evidence.study_page import study_page
from profiles.reports.evidence.text_report import text_report
from profiles.reports.pictures.drawn import draw
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import dump_document

PAGE, TEXT = "report.html", "comprehensive_report.txt"


def write_study_report(overview: Overview, out: Path, *, strategy: str) -> tuple[Path, ...]:
    """Write everything into the folder `out`, each file whole or not at all; returns the paths, the page first.

    `strategy` says which rule's sets go into the recommendations and configurations. Files of the same name are
    replaced. Raises OSError as writing does.
    """
    charts, chosen = study_charts(overview), overview.recommended.chosen[strategy]
    pictures = tuple(map(draw, charts))
    files = {
        f"{picture.chart.name}.{kind}": data
        for picture in pictures
        for kind, data in (("svg", picture.wide), ("png", picture.png))
    }
    documents = {
        ANALYSIS_FILE: analysis_document(overview.study),
        PAIRS_FILE: pairs_document(overview.pairs),
        RECOMMENDATIONS_FILE: recommendations_document(chosen),
        CONFIGURATIONS_FILE: configurations_document(overview.study, chosen),
    }
    files |= {name: dump_document(content) for name, content in documents.items()}
    files[TEXT] = text_report(overview, charts).encode()
    files[PAGE] = study_page(overview, pictures)
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(out / name, data)
    return tuple(out / name for name in (PAGE, *(name for name in files if name != PAGE)))
