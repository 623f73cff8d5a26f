"""Performance without labels: estimated from probabilities (CBPE) and from a model of the loss (DLE)."""

from mainspring.quality.performance.cbpe import estimate_classifier
from mainspring.quality.performance.chunks import Chunking, Estimate, PerformanceReport, Threshold
from mainspring.quality.performance.dle import estimate_regressor

__all__ = ["Chunking", "Estimate", "PerformanceReport", "Threshold", "estimate_classifier", "estimate_regressor"]
