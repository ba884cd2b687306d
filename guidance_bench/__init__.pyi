"""The public surface: a name is imported on first use (lazy_loader reads this file); add new ones here."""

from . import metrics
from .core.errors import UserError
from .core.parameters import param
from .evaluation.plain import evaluate
from .experiments.benchmark import BENCHMARKS, Benchmark, Evaluator, Networks, Setting, register_benchmark
from .experiments.records import load_results
from .experiments.study import run
from .features.feature_set import FeatureSet
from .guidance.composition import CFGOver, Interval, Scheduled, Sum
from .guidance.method import METHODS, Guidance, Query, Step, extrapolate, register_method, together
from .metrics.base import METRICS, Metric, register_metric
from .networks.backbone import BACKBONES, Backbone, BackboneConfig, Edit, Prediction, register_backbone
from .networks.checkpoints import load_backbone, save_backbone
from .networks.dataset import Dataset
from .networks.own_edits import register_edit
from .sampling.dry_run import check_method
from .sampling.ledger import Ledger
from .sampling.sampler import sample
from .sampling.solvers import SOLVERS, Solver, register_solver
from .training.data.dataset import TrainingData
from .training.data.source import SOURCES, Source, register_source
from .training.loss import flow_matching_loss
from .training.protocol import train
from .training.recipe import RECIPES, TrainingRecipe, register_recipe

__version__: str

__all__ = [
    "BACKBONES",
    "BENCHMARKS",
    "METHODS",
    "METRICS",
    "RECIPES",
    "SOLVERS",
    "SOURCES",
    "Backbone",
    "BackboneConfig",
    "Benchmark",
    "CFGOver",
    "Dataset",
    "Edit",
    "Evaluator",
    "FeatureSet",
    "Guidance",
    "Interval",
    "Ledger",
    "Metric",
    "Networks",
    "Prediction",
    "Query",
    "Scheduled",
    "Setting",
    "Solver",
    "Source",
    "Step",
    "Sum",
    "TrainingData",
    "TrainingRecipe",
    "UserError",
    "check_method",
    "evaluate",
    "extrapolate",
    "flow_matching_loss",
    "load_backbone",
    "load_results",
    "metrics",
    "param",
    "register_backbone",
    "register_benchmark",
    "register_edit",
    "register_method",
    "register_metric",
    "register_recipe",
    "register_solver",
    "register_source",
    "run",
    "sample",
    "save_backbone",
    "together",
    "train",
]
