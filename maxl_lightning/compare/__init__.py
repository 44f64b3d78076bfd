"""Methods × seeds: runs that resume, tables with intervals, and figures."""

from maxl_lightning.compare.checks import check_methods, unequal_budgets
from maxl_lightning.compare.engine import compare
from maxl_lightning.compare.plan import Comparison
from maxl_lightning.compare.settings import Method

__all__ = ["Comparison", "Method", "check_methods", "compare", "unequal_budgets"]
