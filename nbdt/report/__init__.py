"""One HTML file about a model, for a colleague or an auditor.

    page = report(model, load_dataset("cifar10"), origin=Origin(model="my-model", data="cifar10"))

`report` is `measure`, one pass over the data, and `to_page`, which writes the result.
"""

from nbdt.report.measure import Measurement, measure
from nbdt.report.render import Origin, report, to_page

__all__ = ["Measurement", "Origin", "measure", "report", "to_page"]
