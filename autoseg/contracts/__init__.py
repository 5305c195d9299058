"""The records of the row: what each stage hands to the next.

    folder ─▶ Dataset (+ CaseScan per case) ─▶ Fingerprint ─▶ Plan ─▶ Prepared ─▶ TrainedModel ─▶ Validation
           ─▶ Selection ─▶ Prediction ─▶ Report

Label volumes inside autoseg hold *class indices*: 0 background, k the k-th ``Label``, and ``LabelSet.ignore_index``
where nothing was annotated. File values appear on reading and on writing only. Volumes are canonical: axes
``(z, y, x)`` growing towards Superior, Posterior, Left. ``Fingerprint`` and ``Plan`` live in ``planners.contracts``.
"""

from autoseg.contracts.dataset import (
    Audit,
    AuditEntry,
    Case,
    CaseContent,
    CaseScan,
    Channel,
    Coding,
    Dataset,
    FindingKind,
    IntensitySketch,
    Label,
    LabelSet,
    Region,
    Split,
    StructureFile,
    TargetScan,
)
from autoseg.contracts.importance import CaseChange, ChoiceName, Importance
from autoseg.contracts.model import ChannelPopulation, Model, ModelCard, WeightsFile
from autoseg.contracts.plan_search import PlanSearch, PlanTrial, Rung, TrialFailure
from autoseg.contracts.results import PredictedCase, Prediction, Report
from autoseg.contracts.scores import (
    CaseScore,
    ConfigurationValidation,
    GroupSummary,
    Interval,
    Means,
    Measures,
    OfTarget,
    Scores,
    TargetScore,
    TargetSummary,
    Validation,
)
from autoseg.contracts.selection import (
    Bias,
    BiasStrength,
    Blend,
    Decision,
    Member,
    NestedTarget,
    Postprocessing,
    Selection,
    Trial,
)
from autoseg.contracts.settings import Axis4, Run, Settings
from autoseg.contracts.training import (
    CurvePoint,
    DryRun,
    Energy,
    MonitorPoint,
    Prepared,
    PreparedCase,
    PreparedConfiguration,
    TrainedModel,
)

__all__ = [
    "Audit",
    "AuditEntry",
    "Axis4",
    "Bias",
    "BiasStrength",
    "Blend",
    "Case",
    "CaseChange",
    "CaseContent",
    "CaseScan",
    "CaseScore",
    "Channel",
    "ChannelPopulation",
    "ChoiceName",
    "Coding",
    "ConfigurationValidation",
    "CurvePoint",
    "Dataset",
    "Decision",
    "DryRun",
    "Energy",
    "FindingKind",
    "GroupSummary",
    "Importance",
    "IntensitySketch",
    "Interval",
    "Label",
    "LabelSet",
    "Means",
    "Measures",
    "Member",
    "Model",
    "ModelCard",
    "MonitorPoint",
    "NestedTarget",
    "OfTarget",
    "PlanSearch",
    "PlanTrial",
    "Postprocessing",
    "PredictedCase",
    "Prediction",
    "Prepared",
    "PreparedCase",
    "PreparedConfiguration",
    "Region",
    "Report",
    "Run",
    "Rung",
    "Scores",
    "Selection",
    "Settings",
    "Split",
    "StructureFile",
    "TargetScan",
    "TargetScore",
    "TargetSummary",
    "TrainedModel",
    "Trial",
    "TrialFailure",
    "Validation",
    "WeightsFile",
]
