"""Watching over training: numbers that are not finite, layers that are dead or saturated, gradients that vanish or explode.

watch        looks at a fit while it goes on, and keeps states to go back to
health       layers and gradients that are not well
post_mortem  the first thing that was not finite, found by making the steps again
causes       what is likely to have caused it
anomalies    what is found, as a record, a warning and errors
"""

from .anomalies import Finding as Finding
from .anomalies import TrainingDiverged as TrainingDiverged
from .anomalies import TrainingStopped as TrainingStopped
from .anomalies import TrainingWarning as TrainingWarning
from .watch import Monitor as Monitor
