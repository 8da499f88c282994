"""One HTML file that says of a model what a colleague or an auditor wants to know.

    page = report(model, load_dataset("cifar10"), origin=Origin(model="my-model", data="cifar10"))

`report` is `measure`, one pass over the data, and `to_page`, which writes what was found.
"""

from nbdt.report.measure import Measurement, measure
from nbdt.report.origin import Origin
from nbdt.report.page import report, to_page

__all__ = ["Measurement", "Origin", "measure", "report", "to_page"]
