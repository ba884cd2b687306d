"""guidance_bench: fair, reproducible comparison of guidance methods for diffusion and flow transformers."""

from __future__ import annotations

from pathlib import Path as _Path

# A bare clone keeps backbones/, methods/ and benchmarks/ beside this folder; installed, they are inside it. The
# question is "not inside", not "beside": in site-packages a stranger's `methods` would otherwise be taken for ours.
if not (_Path(__file__).parent / "methods").is_dir():
    __path__.append(str(_Path(__file__).resolve().parent.parent))

from . import metrics
from .core.errors import UserError
from .core.parameters import param
from .experiments.benchmark import BENCHMARKS, Benchmark, register_benchmark
from .experiments.records import load_results
from .guidance.composition import CFGOver, Interval, Scheduled, Sum
from .guidance.method import METHODS, Guidance, Query, Step, extrapolate, register_method, together
from .metrics.base import METRICS, Metric, register_metric
from .networks.backbone import BACKBONES, Backbone, BackboneConfig, Edit, Prediction, register_backbone
from .networks.checkpoints import load_backbone, save_backbone
from .sampling.dry_run import check_method
from .sampling.ledger import Ledger
from .sampling.sampler import sample
from .sampling.solvers import SOLVERS, Solver, register_solver
from .training.loss import flow_matching_loss

__version__ = "0.1.0"

__all__ = [
    "BACKBONES",
    "BENCHMARKS",
    "METHODS",
    "METRICS",
    "SOLVERS",
    "Backbone",
    "BackboneConfig",
    "Benchmark",
    "CFGOver",
    "Edit",
    "Guidance",
    "Interval",
    "Ledger",
    "Metric",
    "Prediction",
    "Query",
    "Scheduled",
    "Solver",
    "Step",
    "Sum",
    "UserError",
    "check_method",
    "extrapolate",
    "flow_matching_loss",
    "load_backbone",
    "load_results",
    "metrics",
    "param",
    "register_backbone",
    "register_benchmark",
    "register_method",
    "register_metric",
    "register_solver",
    "sample",
    "save_backbone",
    "together",
]
